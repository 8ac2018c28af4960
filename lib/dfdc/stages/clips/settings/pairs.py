"""The settings of pairing clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le, Predicate

from dfdc.system.settings import Part, Settings, Share, Whole, all_different


@dataclass(frozen=True)
class PairSettings(Settings):
    """Which pairs of a real and a fake clip are used."""

    min_difference: Annotated[float, Ge(0), Le(255)]
    """Pairs that differ by less than this are left out; 0 keeps all, as published, and 0.5 leaves those out of which
    only the sound is faked. The difference is the mean of |fake - real| over all frames, coarsened to 16 x 16 cells."""


@dataclass(frozen=True)
class ValidationSettings(Settings):
    """What is kept out of training, to measure on it how a training gets on."""

    parts: Annotated[Sequence[Part], Predicate(all_different)]
    """Training parts that are kept out as a whole."""
    share: Share
    """And this share of the real videos of the other parts, with all their fakes."""
    seed: Whole
    """The seed of their choice."""
