"""Settings for tracking."""

from dataclasses import dataclass

from dfdc.system.settings import Count, Settings, Share


@dataclass(frozen=True)
class TrackerSettings(Settings):
    """The IOU tracker that links faces to tracks."""

    sigma_l: Share
    """Detections with a lower score are ignored."""
    sigma_h: Share
    """A track's best score must reach this."""
    sigma_iou: Share
    """The minimum overlap (intersection over union) of a face with the last one of its track."""
    t_min: Count
    """The minimum length of a track, in sampled frames."""
