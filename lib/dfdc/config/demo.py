"""Settings of the demo's data set. They are declared here because ``dfdc.config`` must not import ``dfdc.demo``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Len

from dfdc.system.settings import Count, Positive, Settings, Whole


@dataclass(frozen=True)
class DemoSettings(Settings):
    """The contents of the demo's data set; only the demo has this section. Raises UserError if they contradict."""

    seed: Whole
    """The seed for everything random in the data set."""
    parts: Count
    """The number of training parts."""
    real_per_part: Count
    """The number of real videos in a part."""
    fakes_per_real: Count
    """The number of fakes of each real video."""
    test_real: Count
    """The number of real test videos, all labelled."""
    test_fake: Count
    """The number of fake test videos, all labelled."""
    seconds: Annotated[Sequence[Positive], Len(2, 2)] = (2.0, 2.6)
    """The shortest and the longest video, in seconds. Videos with a low frame rate are longer if a clip of 50 frames
    needs it."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        self.refuse_contradictions("demo")

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """A range whose bounds are reversed."""
        low, high = self.seconds
        if low > high:
            yield "seconds", f"the shortest ({low}) must not be more than the longest ({high})"
