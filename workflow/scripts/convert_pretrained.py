"""Convert pretrained weights to the project's format: a file or package → safetensors without the last layer."""

import torch

from dfdc.networks.weights.files import save_weights
from dfdc.networks.weights.pretrained import load_pretrained
from dfdc.system.jobs.log import rule_log
from dfdc.system.versions import versions


def main() -> None:
    architecture = snakemake.wildcards.architecture
    source = snakemake.config["pretrained"][architecture]
    state = load_pretrained(source.removeprefix("package:"), architecture)
    save_weights(snakemake.output[0], state, {"architecture": architecture, "versions": versions()}, torch.float32)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"convert_pretrained {snakemake.wildcards.architecture}"):
        main()
