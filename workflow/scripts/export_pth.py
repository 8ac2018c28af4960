"""Write exported weights as a PyTorch state dict, in the layout of the published files, for other programs."""

from dfdc.networks.weights.files import export_pth, read_weights_metadata
from dfdc.networks.weights.load import load_weights
from dfdc.system.jobs.log import rule_log


def main() -> None:
    metadata = read_weights_metadata(snakemake.input[0])
    export_pth(snakemake.output[0], load_weights(snakemake.input[0], metadata["architecture"], metadata["kind"]))


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"export_pth {snakemake.wildcards.model}"):
        main()
