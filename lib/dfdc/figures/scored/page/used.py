"""What videos were scored with, as their pages show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfdc.networks.weights.files import read_weights_metadata
from dfdc.networks.weights.find import Member
from dfdc.system.files import sha256


@dataclass(frozen=True)
class UsedWeights:
    """A weights file: the name of the model and what it looks at, in words, and the file with its metadata."""

    name: str
    words: str
    path: Path
    sha256: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Used:
    """The weights, the settings that decide the scores, and the version of the code.

    ``detector`` is the name of the face detector, with the hash of its weights if these are a file.
    """

    weights: Sequence[UsedWeights]
    detector: str
    settings: Mapping[str, Any]
    version: str

    @classmethod
    def of(cls, members: Sequence[Member], config: Mapping[str, Any], version: str) -> "Used":
        """Read and hash the weights. Raises UserError if they cannot be read."""
        weights = [
            UsedWeights(
                member.name,
                in_words(member, config["prediction"]["sequence_length"]),
                member.path,
                sha256(member.path),
                read_weights_metadata(member.path),
            )
            for member in members
        ]
        detection = config["detection"]["test"]
        detector = "YuNet (bundled)"
        if detection["detector"] != "yunet":
            detector = f"{detection['detector'].upper()}, {detection['weights']}, {sha256(detection['weights'])}"
        settings = {
            "detection": {"test": detection},
            "tracking": {"test": config["tracking"]["test"]},
            "prediction": config["prediction"],
            "ensemble": config["ensemble"],
            "models": {
                member.name: {key: member.model[key] for key in ("architecture", "kind", "crop", "score")}
                for member in members
            },
        }
        return cls(weights, detector, settings, version)


def in_words(member: Member, window: int) -> str:
    """The architecture of a model, and what it looks at; ``window`` is the number of faces for a sequence model."""
    model = member.model
    scored = "single faces" if model["kind"] == "frame" else f"windows of {window} consecutive faces"
    size = f"{model['crop']['width']} x {model['crop']['height']} pixels"
    return f"{architecture_in_words(model['architecture'])}, scores {scored}, {size}"


def architecture_in_words(architecture: str) -> str:
    """EfficientNet-B7 for efficientnet-b7; names of other packages as they are."""
    if architecture.startswith("efficientnet-"):
        kind = architecture.removeprefix("efficientnet-")
        return "EfficientNet-" + kind[0].upper() + kind[1:]
    return architecture
