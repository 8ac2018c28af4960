"""Settings for cutting clips."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from dfdc.system.settings import Count, Settings, Whole


@dataclass(frozen=True)
class ClipSettings(Settings):
    """The clips that training reads."""

    frames: Count
    """Frames in a clip."""
    per_track: Literal["auto"] | Annotated[int, Ge(1), Le(1000)]
    """How many clips are cut from an aligned track: spread over it, without overlap as far as it is long enough.
    `auto`: as many as it takes for training to visit each pair about 8 times, as published (training.iterations *
    training.batch_pairs / 8 pairs in all), with neighbours overlapping by half at most."""
    enlarge: Annotated[float, Ge(1), Le(5)]
    """The factor by which the box of a face is enlarged."""
    seed: Whole
    """The seed for drawing the first frame and the box."""
