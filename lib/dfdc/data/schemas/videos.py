"""What is known of videos once their faces were detected: of training videos and of test videos."""

from dataclasses import astuple, dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

_VIDEO = [
    column("video", pa.string(), "file name"),
    column(
        "status",
        pa.string(),
        "ok, no face, damaged (the frames before the damage are used, or some are decoded in part only) or unreadable",
    ),
    column("reason", pa.string(), "what is wrong, in words; empty if nothing is"),
    column("frames", pa.int32(), "frames that could be decoded"),
    column("in_order", pa.bool_(), "whether each of them has a time stamp, later than that of the one before"),
    column("width", pa.int32(), "pixels of the upright frame"),
    column("height", pa.int32(), "pixels of the upright frame"),
    column("fps", pa.float64(), "frames a second on average, as the file states it"),
]

VIDEOS = table(
    "videos",
    [
        *_VIDEO,
        column("label", pa.string(), "REAL or FAKE, from metadata.json"),
        column("original", pa.string(), "for a fake the real video that it was made from, else empty"),
    ],
)

TEST_VIDEOS = table(
    "test_videos", [*_VIDEO, column("step", pa.int32(), "every step-th frame is kept, which makes about 15 a second")]
)


@dataclass(frozen=True, slots=True)
class Video:
    """What detection notes of any video, in the columns that ``VIDEOS`` and ``TEST_VIDEOS`` share."""

    video: str
    status: str = "ok"
    reason: str = ""
    frames: int = 0
    in_order: bool = False
    width: int = 0
    height: int = 0
    fps: float = 0.0

    @property
    def counted(self) -> int | None:
        """The number of frames where it can be relied on: what ``read_frames`` takes as ``counted``."""
        return self.frames if self.status in ("ok", "no face") and self.in_order else None

    def labelled(self, label: str, original: str) -> "TrainingVideo":
        """The video as one of a training part."""
        return TrainingVideo(*astuple(self), label, original)


@dataclass(frozen=True, slots=True)
class TrainingVideo(Video):
    """A row of ``VIDEOS``."""

    label: str = ""
    original: str = ""


@dataclass(frozen=True, slots=True)
class TestVideo(Video):
    """A row of ``TEST_VIDEOS``."""

    step: int = 0
