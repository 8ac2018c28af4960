"""Finished weights in the form that prediction reads: half precision, with all that it needs to know of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dfdc.networks.inputs import MEAN, STD
from dfdc.networks.weights.files import read_weights_metadata, save_weights
from dfdc.networks.weights.load import load_weights
from dfdc.system.versions import versions


def export_weights(source: str | Path, name: str, model: Mapping[str, Any], target: str | Path) -> None:
    """Write the weights of a model, ours or a PyTorch file, to ``target``, with its preprocessing in the metadata.

    ``model`` is its entry in the config. Raises UserError if the file is missing, is damaged or is of another
    architecture or kind.
    """
    about = {
        "name": name,
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
        "trained_with": None,
        "versions": versions(),
    }
    # What weights say of themselves counts for more than what the config says of them.
    known = read_weights_metadata(source)
    about |= {key: known[key] for key in about.keys() - {"name", "architecture", "kind", "versions"} if key in known}
    about["trained_with"] = known.get("trained_with") or known.get("versions")
    state = load_weights(source, model["architecture"], model["kind"])
    save_weights(target, state, about, torch.float16)
