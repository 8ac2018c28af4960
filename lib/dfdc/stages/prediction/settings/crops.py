"""Settings for cutting faces from test videos."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from dfdc.system.settings import Count, Settings


@dataclass(frozen=True)
class PlanSettings(Settings):
    """Which faces of a track are cut for the models, and with which box."""

    enlarge: Annotated[float, Ge(1), Le(5)]
    """The factor by which the box of a face is enlarged."""
    frame_every: Count
    """Frame models score every n-th of the frames that `fps` keeps of a track."""
    sequence_every: Count
    """Sequence models score a window that begins at every n-th of these frames."""
    sequence_length: Count
    """The number of these frames in a window."""


@dataclass(frozen=True)
class CropSettings(PlanSettings):
    """The same, with the kinds of models to cut faces for."""

    kinds: tuple[str, ...]
    """frame, sequence or both."""
