"""Properties of training and test videos, as recorded by face detection."""

from dataclasses import astuple, dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

_VIDEO = [
    column("video", pa.string(), "file name"),
    column(
        "status",
        pa.string(),
        "ok, no face, damaged (only frames before the damage are used, or some are partly decoded) or unreadable; "
        "damage to pictures that no sampled frame depends on may go unnoticed",
    ),
    column("reason", pa.string(), "what is wrong with the video; empty if nothing is"),
    column("frames", pa.int32(), "number of frames, without those after damage that was noticed"),
    column("in_order", pa.bool_(), "whether each of them has a time stamp later than the previous one"),
    column("width", pa.int32(), "width of the upright frame in pixels"),
    column("height", pa.int32(), "height of the upright frame in pixels"),
    column("fps", pa.float64(), "average frame rate that the container states"),
]

VIDEOS = table(
    "videos",
    [
        *_VIDEO,
        column("label", pa.string(), "REAL or FAKE, from metadata.json"),
        column("original", pa.string(), "for a fake, the real video that it was made from; else empty"),
    ],
)

TEST_VIDEOS = table(
    "test_videos", [*_VIDEO, column("step", pa.int32(), "every step-th frame is kept, about 15 per second")]
)


@dataclass(frozen=True, slots=True)
class Video:
    """The columns that ``VIDEOS`` and ``TEST_VIDEOS`` share."""

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
        """The number of frames if it is reliable, else None; the argument ``counted`` of ``read_frames``."""
        return self.frames if self.status in ("ok", "no face") and self.in_order else None

    def labelled(self, label: str, original: str) -> "TrainingVideo":
        """The video with its label and original, as a row of ``VIDEOS``."""
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
