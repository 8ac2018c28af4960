"""The face detectors, and the settings for detection."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from dfdc.system.settings import Count, File, Precision, Settings, Share

# The module of each detector, with a function ``build`` that takes the arguments of ``build_detector``. They are named,
# not imported, so that a change to one detector does not rerun jobs that use another: rules add the code of their own.
DETECTORS = {
    "dsfd": "dfdc.stages.faces.detection.dsfd.detector",
    "yunet": "dfdc.stages.faces.detection.yunet",
}

# Settings that a detector ignores, with what it does instead: a change of them reruns nothing for those who use it.
IGNORED = {"yunet": {"precision": "fp32"}}


@dataclass(frozen=True)
class DetectionSettings(Settings):
    """The face detector, the frames it runs on, and their size."""

    detector: Literal["dsfd", "yunet"]
    """dsfd (the published detector; its weights must be provided) or yunet (bundled, fast on a CPU)."""
    weights: File | None
    """The weights file; null for the one bundled with yunet."""
    resize: Literal["area", "longer_side"]
    """How a frame is resized: `area` gives it the area of a square with sides of `size` pixels, `longer_side` makes its
    longer side `size` pixels. yunet supports longer_side only, and never enlarges a frame."""
    size: Annotated[int, Ge(32), Le(8192)]
    """Pixels, see `resize`."""
    threshold: Share
    """Faces with a lower score are dropped."""
    precision: Precision
    """fp32 (as published), bf16 or fp16: the precision of dsfd on a GPU. A GPU without bf16 takes fp16 in its place,
    and frames whose values overflow are computed again in fp32. A CPU, and yunet, always compute in fp32."""
    every: Count
    """Faces are detected in every n-th frame; in test videos, in every n-th of the frames that prediction.fps keeps."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Settings that the detector does not support."""
        if self.detector == "dsfd" and not self.weights:
            yield "weights", "dsfd needs a weights file"
        if self.detector == "yunet" and self.resize != "longer_side":
            yield "resize", "yunet supports longer_side only"
