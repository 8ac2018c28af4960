"""Settings for pairing clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le, Predicate

from dfdc.system.settings import Part, Settings, Share, Whole, all_different


@dataclass(frozen=True)
class PairSettings(Settings):
    """Which pairs of a real and a fake clip are used."""

    min_difference: Annotated[float, Ge(0), Le(255)]
    """Pairs that differ by less than this are dropped; 0 keeps all pairs, as published, and 0.5 drops those in which
    only the audio is fake. The difference is the mean of |fake - real| over all frames, on a grid of 16 x 16 cells
    (column `difference` of results/pairs.parquet)."""


@dataclass(frozen=True)
class ValidationSettings(Settings):
    """The pairs that are set aside for validation. A real video is set aside together with all of its fakes."""

    parts: Annotated[Sequence[Part], Predicate(all_different)]
    """Whole training parts to set aside."""
    share: Share
    """The share of the real videos of the other parts to set aside. 0, with no parts, is the published training, which
    had no validation data."""
    seed: Whole
    """The seed for drawing them."""
