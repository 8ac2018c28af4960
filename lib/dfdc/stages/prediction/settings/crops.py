"""The settings of cutting the faces of test videos."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from dfdc.system.settings import Count, Settings


@dataclass(frozen=True)
class PlanSettings(Settings):
    """Which faces of a track are cut for the models, and with what box."""

    enlarge: Annotated[float, Ge(1), Le(5)]
    """The box of the face is enlarged so many times."""
    frame_every: Count
    """Frame models look at every so many kept frames of a track."""
    sequence_every: Count
    """A window of a sequence model begins every so many kept frames of a track."""
    sequence_length: Count
    """A window holds so many kept frames."""


@dataclass(frozen=True)
class CropSettings(PlanSettings):
    """The same, for models of some kinds."""

    kinds: tuple[str, ...]
    """Which of frame and sequence are wanted."""
