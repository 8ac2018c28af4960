"""Settings for cutting clips."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from dfdc.system.settings import Count, Settings, Whole


@dataclass(frozen=True)
class ClipSettings(Settings):
    """The clips that training reads."""

    frames: Count
    """Frames in a clip."""
    enlarge: Annotated[float, Ge(1), Le(5)]
    """The factor by which the box of a face is enlarged."""
    seed: Whole
    """The seed for drawing the first frame and the box."""
