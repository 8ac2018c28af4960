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
    """Whether a fake whose frame size differs from its original's, but not its aspect ratio, is scaled to that size.
    Such fakes make no pair otherwise; FaceForensics++ has some."""
