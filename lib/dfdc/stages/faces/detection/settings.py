"""The settings of detection."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectionSettings:
    """``detector``: dsfd or yunet; ``weights``: its file, None for the one that comes with yunet;
    ``resize`` and ``size``: the frame is resized so that its area is size x size (area) or its longer side is
    ``size`` (longer_side); ``threshold``: least score; ``every``: faces are looked for in every so many frames
    (in prediction: of the frames that are kept)."""

    detector: str
    weights: str | None
    resize: str
    size: int
    threshold: float
    every: int
