"""The settings of what is scored of validation clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le, Predicate

from dfdc.system.settings import Count, Settings, all_different
from dfdc.video.settings import Factor


@dataclass(frozen=True)
class ConditionSettings(Settings):
    """A way in which validation clips are compressed again (H.264, yuv420p)."""

    fps: Annotated[int, Ge(1), Le(30)]
    """Whole frames a second."""
    scale: Factor
    """The factor on both sides."""
    crf: Annotated[int, Ge(0), Le(51)]
    """The constant rate factor; more is worse."""


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """How good the finished models are on the validation pairs (results/validation/)."""

    pairs: Count
    """At most so many pairs are scored."""
    recompression: Annotated[Sequence[ConditionSettings], Predicate(all_different)]
    """Pairs are scored as they were cut, and compressed again in each of these ways."""
