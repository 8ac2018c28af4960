"""Settings for alignment."""

from dataclasses import dataclass

from dfdc.system.settings import Count, Settings, Share


@dataclass(frozen=True)
class AlignmentSettings(Settings):
    """Which track of a fake belongs to which track of its original."""

    min_boxes: Count
    """Tracks with fewer boxes are ignored."""
    min_iou: Share
    """The faces must overlap by more than this in every frame that both tracks have."""
    scale_fakes: bool
    """Whether a fake of another frame size than its original, but of the same shape, is scaled to the original's size.
    Such fakes make no pair otherwise; FaceForensics++ has some."""
