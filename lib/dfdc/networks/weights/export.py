"""Export of finished weights for prediction: half precision, with the model's settings as metadata."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dfdc.networks.families import family_of
from dfdc.networks.weights.files import read_weights_metadata, save_weights
from dfdc.networks.weights.load import load_weights
from dfdc.system.versions import versions


def export_weights(
    source: str | Path, name: str, model: Mapping[str, Any], target: str | Path, own: bool = False
) -> None:
    """Write the weights of a model, trained here or from a PyTorch file, to ``target``, with its preprocessing as
    metadata.

    ``model`` is its entry in the config; ``own``: the weights were trained here. Raises UserError if the file is
    missing, damaged, or of another architecture or kind.
    """
    normalisation = family_of(model["architecture"]).normalisation(model["architecture"])
    metadata = {
        "name": name,
        "architecture": model["architecture"],
        "kind": model["kind"],
        "crop": model["crop"],
        "mean": normalisation.mean,
        "std": normalisation.std,
        "sequence_length": len(model["frames"]),
        "frames": model["frames"],
        "seed": model["seed"],
        "erasing": model["erasing"],
        # Unknown for weights that were not trained here.
        "training": None,
        "data": None,
        "pretrained": None,
        "code": None,
        "trained_with": None,
        "versions": versions(),
    }
    # The weights' own metadata take precedence over the config.
    known = read_weights_metadata(source)
    kept = metadata.keys() - {"name", "architecture", "kind", "versions"}
    metadata |= {key: known[key] for key in kept if key in known}
    metadata["trained_with"] = known.get("trained_with") or known.get("versions")
    state = load_weights(source, model["architecture"], model["kind"], own)
    save_weights(target, state, metadata, torch.float16)
