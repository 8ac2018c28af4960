"""What detection finds, in training videos and in test videos."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dfdc.data.schemas.columns import BOX, column, table
from dfdc.data.tables import boxes_of, encoded, repeated, rows_by_key

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

DETECTIONS = table(
    "detections",
    [
        column("video", pa.string(), "file name"),
        column("frame", pa.int32(), "frame number"),
        column("box", BOX, "the face"),
        column("score", pa.float32(), "the detector's confidence, 0 to 1"),
    ],
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


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The N faces that were found in a video, which are rows of ``DETECTIONS``.

    ``frames``: N frame numbers, rising; ``boxes``: N x 4 float32; ``scores``: N float32, 0 to 1.
    """

    video: str
    frames: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    @classmethod
    def none(cls, video: str) -> "Faces":
        """A video in which no face was found."""
        return cls(video, np.zeros(0, np.int32), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def face_columns(videos: Sequence[Faces]) -> dict[str, Any]:
    """The faces of videos as columns of their table, one video after the other."""
    nothing = Faces.none("")
    return {
        "video": repeated([faces.video for faces in videos], [len(faces.frames) for faces in videos]),
        "frame": np.concatenate([nothing.frames, *(faces.frames for faces in videos)]),
        "box": np.concatenate([nothing.boxes, *(faces.boxes for faces in videos)]),
        "score": np.concatenate([nothing.scores, *(faces.scores for faces in videos)]),
    }


def detected_faces(table: pa.Table, videos: Sequence[str]) -> Iterator[Faces]:
    """The faces of each of some videos in a table of detections."""
    names, codes = encoded(table["video"])
    frames, boxes, scores = table["frame"].to_numpy(), boxes_of(table["box"]), table["score"].to_numpy()
    rows_of = {names[codes[rows[0]]]: rows for rows in rows_by_key(codes)}
    for video in videos:
        if (rows := rows_of.get(video)) is None:
            yield Faces.none(video)
        else:
            yield Faces(video, frames[rows], boxes[rows], scores[rows])
