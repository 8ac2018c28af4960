"""The detectors there are, and building the one that the settings name."""

from importlib import import_module

from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.stages.faces.detection.videos import Detector

# The module of each, which has a function ``build`` with the arguments of ``build_detector``. Named, not imported, so
# that a change of one detector does not concern those who use another: the rules add the code of theirs.
DETECTORS = {
    "dsfd": "dfdc.stages.faces.detection.dsfd.detector",
    "yunet": "dfdc.stages.faces.detection.yunet",
}


def build_detector(settings: DetectionSettings, device: str, batch_size: int) -> Detector:
    """Load the detector that the settings name onto ``device`` (cpu, cuda or cuda:N).

    ``batch_size`` is how many frames go through a network at a time. Raises UserError if its weights are missing or
    are not its weights.
    """
    return import_module(DETECTORS[settings.detector]).build(settings, device, batch_size)
