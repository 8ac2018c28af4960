"""Settings for finding and cutting the faces of videos and images one by one."""

from dataclasses import dataclass

from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.prediction.settings.crops import CropSettings


@dataclass(frozen=True)
class ExtractionSettings:
    """The settings of detection, tracking and cutting; about ``fps`` frames per second are kept."""

    detection: DetectionSettings
    fps: float
    max_pixels: int
    tracking: TrackerSettings
    crops: CropSettings
