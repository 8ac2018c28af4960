"""The settings of cutting clips."""

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
    """The box of the face is enlarged so many times."""
    seed: Whole
    """The seed of the choice of the first frame and of the box."""
