"""Scores of the faces in test videos."""

from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

SCORES = table(
    "scores",
    [
        column("video", pa.string(), "file name"),
        column("track", pa.int32(), "number of the track in its video"),
        column("frame", pa.int32(), "frame number"),
        column("probability", pa.float32(), "the network's probability that this face is fake"),
    ],
)


@dataclass(frozen=True, slots=True)
class FrameScore:
    """A row of ``SCORES``: a model's score of a face in a frame."""

    video: str
    track: int
    frame: int
    probability: float
