"""Export finished weights in half precision, with all that prediction needs to know of them in the metadata."""

import torch

from dfdc.augment.device import MEAN, STD
from dfdc.log import rule_log
from dfdc.weights import load_weights, read_metadata, save_weights


def main() -> None:
    model = snakemake.params.model
    about = {
        "name": snakemake.wildcards.model,
        "architecture": model["architecture"],
        "kind": model["kind"],
        "crop": model["crop"],
        "mean": MEAN,
        "std": STD,
        "sequence_length": len(model["frames"]),
        "frames": model["frames"],
        "seed": model["seed"],
        "erasing": model["erasing"],
        # Of weights from elsewhere nothing is known of these.
        "training": None,
        "data": None,
        "pretrained": None,
        "code": None,
    }
    # What weights say of themselves counts for more than what the config says of them.
    known = read_metadata(snakemake.input.weights)
    about |= {key: known[key] for key in about.keys() - {"name", "architecture", "kind"} if key in known}
    state = load_weights(snakemake.input.weights, model["architecture"], model["kind"])
    save_weights(snakemake.output[0], state, about, torch.float16)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"export_weights {snakemake.wildcards.model}"):
        main()
