"""The settings of tracking."""

from dataclasses import dataclass

from dfdc.system.settings import Count, Settings, Share


@dataclass(frozen=True)
class TrackerSettings(Settings):
    """The IOU tracker that links faces to tracks."""

    sigma_l: Share
    """Faces with a lower score are not tracked."""
    sigma_h: Share
    """A track's best score must reach this."""
    sigma_iou: Share
    """A face follows on the last one if they overlap by at least this (intersection over union)."""
    t_min: Count
    """The least length of a track, in sampled frames."""
