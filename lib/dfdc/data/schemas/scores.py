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
        column("probability", pa.float32(), "of this face being fake, as the network gives it"),
    ],
)


@dataclass(frozen=True, slots=True)
class FrameScore:
    """A row of ``SCORES``: what a model says of a face in a frame."""

    video: str
    track: int
    frame: int
    probability: float
