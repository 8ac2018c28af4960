"""The detectors there are, and the settings of detection."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from dfdc.system.settings import Count, File, Settings, Share

# The module of each, which has a function ``build`` with the arguments of ``build_detector``. Named, not imported, so
# that a change of one detector does not concern those who use another: the rules add the code of theirs.
DETECTORS = {
    "dsfd": "dfdc.stages.faces.detection.dsfd.detector",
    "yunet": "dfdc.stages.faces.detection.yunet",
}


@dataclass(frozen=True)
class DetectionSettings(Settings):
    """Which detector looks for faces, in which frames, and at what size."""

    detector: Literal["dsfd", "yunet"]
    """dsfd is the published one and needs its weights; yunet comes along and is fast on a CPU."""
    weights: File | None
    """The file of weights; null for the one that comes with yunet."""
    resize: Literal["area", "longer_side"]
    """`area` makes a frame as large as a square of `size` pixels, `longer_side` makes its longer side `size` pixels.
    yunet takes longer_side only, and never enlarges."""
    size: Annotated[int, Ge(32), Le(8192)]
    """Pixels, see `resize`."""
    threshold: Share
    """Faces with a lower score are dropped."""
    every: Count
    """Faces are looked for in every so many frames; of test videos, of those that prediction.fps keeps."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """What a detector cannot do."""
        if self.detector == "dsfd" and not self.weights:
            yield "weights", "dsfd needs the file of its weights"
        if self.detector == "yunet" and self.resize != "longer_side":
            yield "resize", "yunet takes longer_side only"
