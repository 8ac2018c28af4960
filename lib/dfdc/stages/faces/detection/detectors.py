"""Building the detector named in the settings."""

from importlib import import_module

from dfdc.stages.faces.detection.settings import DETECTORS, DetectionSettings
from dfdc.stages.faces.detection.videos import Detector


def build_detector(settings: DetectionSettings, device: str, batch_size: int) -> Detector:
    """Load the detector named in the settings onto ``device`` (cpu, cuda or cuda:N).

    ``batch_size`` is the number of frames per batch. Raises UserError if the weights are missing or do not fit.
    """
    return import_module(DETECTORS[settings.detector]).build(settings, device, batch_size)
