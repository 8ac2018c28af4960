"""Tracks: faces of one person in consecutive frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from dfdc.data.arrays import boxes_of, encoded, repeated, rows_by_key
from dfdc.data.columns import BOX, column, table

TRACKS = table(
    "tracks",
    [
        column("video", pa.string(), "file name"),
        column("track", pa.int32(), "number of the track in its video, from 0, ordered by the tracks' ends"),
        column("frame", pa.int32(), "frame number"),
        column("box", BOX, "box of the face"),
        column("score", pa.float32(), "the detector's confidence; null where the box is interpolated"),
    ],
)


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Faces of one person in consecutive frames of a video, rows of ``TRACKS``.

    ``frames``: N frame numbers, ascending; ``boxes``: N x 4 float32; ``scores``: N, None where a box is interpolated.
    """

    video: str
    number: int
    frames: list[int]
    boxes: np.ndarray
    scores: list[float | None]


def track_columns(tracks: Sequence[Track]) -> dict[str, Any]:
    """The columns of the table of tracks, in order."""
    lengths = [len(track.frames) for track in tracks]
    return {
        "video": repeated([track.video for track in tracks], lengths),
        "track": repeated([track.number for track in tracks], lengths),
        "frame": list(chain.from_iterable(track.frames for track in tracks)),
        "box": np.concatenate([np.zeros((0, 4), np.float32), *(track.boxes for track in tracks)]),
        "score": list(chain.from_iterable(track.scores for track in tracks)),
    }


def tracks_of(table: pa.Table) -> dict[str, list[Track]]:
    """The tracks of each video, in the order of the table."""
    tracks: dict[str, list[Track]] = {}
    names, codes = encoded(table["video"])
    numbers, frames, boxes = table["track"].to_numpy(), table["frame"].to_numpy(), boxes_of(table["box"])
    scores = table["score"].to_pylist()
    for rows in rows_by_key(codes, numbers):
        name = names[codes[rows[0]]]
        track = Track(
            name, int(numbers[rows[0]]), frames[rows].tolist(), boxes[rows], [scores[row] for row in rows.tolist()]
        )
        tracks.setdefault(name, []).append(track)
    return tracks
