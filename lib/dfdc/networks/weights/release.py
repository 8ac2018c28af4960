"""Released weights: exported weights with their provenance and the settings for scoring with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dfdc.networks.weights.files import read_tensors, read_weights_metadata, save_weights
from dfdc.networks.weights.tensors import CHECKSUM, read_metadata

# The settings that travel with the weights, besides detection.test and the model's own: sections, and keys of them.
TRAVELLING = {"tracking": ("test",), "data": ("max_pixels",), "clips": ("frames",)}


def release_weights(source: str | Path, target: str | Path, about: Mapping[str, Any]) -> None:
    """Copy weights that ``export_weights`` wrote, with ``about`` added to their metadata; same input, same bytes.

    ``provenance`` in ``about`` gets the facts that the weights have already: architecture, code, versions. Raises
    UserError if the file is missing or damaged.
    """
    tensors = read_tensors(Path(source), own=True)
    known = read_weights_metadata(source)
    # The versions are those of the training. No date: the same data and settings must give the same bytes.
    facts = {
        "architecture": known["architecture"],
        "iterations": (known["training"] or {}).get("iterations"),
        "code": known["code"],
        "versions": known["trained_with"],
    }
    added = {**about, "provenance": {**about["provenance"], **facts}, "released_from": checksum_of(source)}
    save_weights(target, tensors, known | added, torch.float16)


def checksum_of(path: str | Path) -> str | None:
    """The checksum that weights written here carry; None if they have none. It is not verified."""
    return read_metadata(Path(path)).get(CHECKSUM)


def scoring_of_model(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The settings that whoever scores with a model's weights needs, nested as in the config.

    The path of a detector's weights does not travel, if they are not the detector's own (null): it means nothing
    elsewhere.
    """
    detection = dict(settings["detection"]["test"])
    if detection["detector"] == "dsfd":
        del detection["weights"]
    return {
        "detection": {"test": detection},
        **{section: {key: settings[section][key] for key in keys} for section, keys in TRAVELLING.items()},
        "prediction": dict(settings["prediction"]),
        "ensemble": dict(settings["ensemble"]),
        "models": {name: {**settings["models"][name], "weights": None}},
        "torch_threads": settings["torch_threads"],
    }
