"""The published settings, those of config.yaml, in the classes that the stages take."""

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from dfdc.config.reading import read_yaml
from dfdc.networks.settings import CropPolicy
from dfdc.stages.clips.settings.cutting import ClipSettings
from dfdc.stages.clips.settings.pairs import ValidationSettings
from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.stages.faces.settings.alignment import AlignmentSettings
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.training.augment.settings import AugmentSettings
from dfdc.stages.training.settings import TrainSettings
from dfdc.video.settings import RecompressionSettings

ROOT = Path(__file__).resolve().parents[1]
CONFIG = read_yaml(ROOT / "config.yaml")
DEMO = read_yaml(ROOT / "profiles" / "demo" / "settings.yaml")
MODEL = CONFIG["models"]["large_crop"]
# Where the settings of each class stand.
SECTIONS = {
    AlignmentSettings: CONFIG["alignment"],
    AugmentSettings: MODEL | CONFIG["training"],
    ClipSettings: CONFIG["clips"],
    CropPolicy: MODEL["crop"],
    EnsembleSettings: CONFIG["ensemble"],
    RecompressionSettings: CONFIG["training"]["recompression"],
    TrackerSettings: CONFIG["tracking"]["train"],
    TrainSettings: MODEL | CONFIG["training"] | {"validate_every": 0},
    ValidationSettings: CONFIG["validation"] | {"share": 0.0},
}
# YuNet, as it is used wherever DSFD is not.
YUNET = DetectionSettings(**CONFIG["detection"]["train"] | DEMO["detection"]["train"])
Declared = TypeVar("Declared")


def published(declared: type[Declared], **changes: Any) -> Declared:
    """The settings that a class takes, as published but for some changes; nothing is kept out for validation."""
    names = {field.name for field in fields(declared)}
    return declared(**{key: value for key, value in SECTIONS[declared].items() if key in names} | changes)
