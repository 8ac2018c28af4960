"""Faces detected in training and test videos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dfdc.data.arrays import boxes_of, encoded, repeated, rows_by_key
from dfdc.data.columns import BOX, column, table

DETECTIONS = table(
    "detections",
    [
        column("video", pa.string(), "file name"),
        column("frame", pa.int32(), "frame number"),
        column("box", BOX, "box of the face"),
        column("score", pa.float32(), "the detector's confidence, 0 to 1"),
    ],
)


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The N faces detected in a video, rows of ``DETECTIONS``.

    ``frames``: N frame numbers, ascending; ``boxes``: N x 4 float32; ``scores``: N float32, 0 to 1.
    """

    video: str
    frames: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    @classmethod
    def none(cls, video: str) -> "Faces":
        """A video without detected faces."""
        return cls(video, np.zeros(0, np.int32), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def face_columns(videos: Sequence[Faces]) -> dict[str, Any]:
    """The columns of the table of detections, for the faces of videos in order."""
    empty = Faces.none("")
    return {
        "video": repeated([faces.video for faces in videos], [len(faces.frames) for faces in videos]),
        "frame": np.concatenate([empty.frames, *(faces.frames for faces in videos)]),
        "box": np.concatenate([empty.boxes, *(faces.boxes for faces in videos)]),
        "score": np.concatenate([empty.scores, *(faces.scores for faces in videos)]),
    }


def detected_faces(table: pa.Table, videos: Sequence[str]) -> Iterator[Faces]:
    """The faces of each of ``videos`` in a table of detections."""
    names, codes = encoded(table["video"])
    frames, boxes, scores = table["frame"].to_numpy(), boxes_of(table["box"]), table["score"].to_numpy()
    rows_of = {names[codes[rows[0]]]: rows for rows in rows_by_key(codes)}
    for video in videos:
        if (rows := rows_of.get(video)) is None:
            yield Faces.none(video)
        else:
            yield Faces(video, frames[rows], boxes[rows], scores[rows])
