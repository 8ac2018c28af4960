"""Settings for the ensemble."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Le, Len

from dfdc.system.settings import Settings, Share


@dataclass(frozen=True)
class CombinationSettings(Settings):
    """How the scores of faces become the score of a video."""

    exponent: Annotated[float, Gt(0), Le(10)]
    """A probability's distance d from 0.5 becomes d to this power; below 1 it makes the models more confident."""
    clip: Annotated[Sequence[Share], Len(2, 2)]
    """Probabilities are clipped to this range."""
    weight_offset: Annotated[float, Gt(0), Le(1000)]
    """The weight of a face is |d| plus this."""
    unknown: Share
    """The score of a video that is unreadable or has no track."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """A range whose bounds are reversed."""
        low, high = self.clip
        if low > high:
            yield "clip", f"the first number ({low}) must not be more than the second ({high})"


@dataclass(frozen=True)
class CalibrationSettings(CombinationSettings):
    """The same, with the choice of calibration."""

    calibration: Literal["published", "exponent", "temperature"]
    """published: the exponent above. exponent or temperature: a number fitted on the validation pairs in its place
    (results/validation/calibration.json). A temperature divides the log odds."""


@dataclass(frozen=True)
class EnsembleSettings(CombinationSettings):
    """The settings in effect: with a ``temperature``, the exponent is not used. See ``ensemble.confident``."""

    temperature: float | None = None
    """The divisor of the log odds."""
