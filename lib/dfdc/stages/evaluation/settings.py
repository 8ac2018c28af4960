"""Settings for the evaluation on validation clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le, Predicate

from dfdc.system.settings import Count, Settings, all_different
from dfdc.video.settings import Factor


@dataclass(frozen=True)
class ConditionSettings(Settings):
    """A condition under which validation clips are recompressed (H.264, yuv420p)."""

    fps: Annotated[int, Ge(1), Le(30)]
    """The frame rate."""
    scale: Factor
    """The scale factor of both sides."""
    crf: Annotated[int, Ge(0), Le(51)]
    """The constant rate factor; higher is worse."""


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """The evaluation of finished models on the validation pairs (results/validation/)."""

    pairs: Count
    """The maximum number of pairs to score."""
    recompression: Annotated[Sequence[ConditionSettings], Predicate(all_different)]
    """They are scored as they were cut, and recompressed (H.264, yuv420p) in each of these ways."""
