"""The settings of the demo's data set: here, because the check of the settings may not reach up to ``dfdc.demo``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Len

from dfdc.system.settings import Count, Positive, Settings, Whole


@dataclass(frozen=True)
class DemoSettings(Settings):
    """What the demo's data set holds; only the demo has this section. Raises UserError for numbers that make none."""

    seed: Whole
    """The seed of everything that is drawn."""
    parts: Count
    """Training parts."""
    real_per_part: Count
    """Real videos in a part."""
    fakes_per_real: Count
    """Fakes of each of them."""
    test_real: Count
    """Real test videos, all with labels."""
    test_fake: Count
    """Fake test videos, all with labels."""
    seconds: Annotated[Sequence[Positive], Len(2, 2)] = (2.0, 2.6)
    """The shortest and the longest length of a video; those of a low frame rate are longer where a clip of 50 frames
    needs it."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        self.refuse_contradictions("demo")

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """A range the wrong way round."""
        low, high = self.seconds
        if low > high:
            yield "seconds", f"the shortest ({low}) must not be more than the longest ({high})"
