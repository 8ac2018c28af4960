"""Building the detector that the settings name."""

from importlib import import_module

from dfdc.stages.faces.detection.settings import DETECTORS, DetectionSettings
from dfdc.stages.faces.detection.videos import Detector


def build_detector(settings: DetectionSettings, device: str, batch_size: int) -> Detector:
    """Load the detector that the settings name onto ``device`` (cpu, cuda or cuda:N).

    ``batch_size`` is how many frames go through a network at a time. Raises UserError if its weights are missing or
    are not its weights.
    """
    return import_module(DETECTORS[settings.detector]).build(settings, device, batch_size)
