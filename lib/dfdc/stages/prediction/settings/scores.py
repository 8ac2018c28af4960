"""Settings for scoring."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Len, Predicate

from dfdc.system.settings import Count, Settings, Whole, all_different


@dataclass(frozen=True)
class ScoreSettings(Settings):
    """Which faces (or windows) of a track a model scores."""

    of: Count
    """The faces of a track are numbered cyclically from 0 to one less than this."""
    take: Annotated[Sequence[Whole], Len(1), Predicate(all_different)]
    """Of every `of` faces (or windows) of a track, the model scores those with these numbers."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """A number that no face has."""
        if max(self.take) >= self.of:
            yield "take", f"must be less than of ({self.of})"
