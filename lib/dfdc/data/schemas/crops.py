"""The index of the faces that were cut from a shard's test videos."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

CROPS = table(
    "crops",
    [
        column("video", pa.string(), "file name"),
        column("track", pa.int32(), "number of the track in its video"),
        column("kind", pa.string(), "frame (one face) or sequence (a window of faces cut with one box)"),
        column(
            "ordinal",
            pa.int32(),
            "number of the face or window in its track, from 0; the even ones are flipped",
        ),
        column("frames", pa.list_(pa.int32()), "the frame numbers of its pictures"),
        column("batch", pa.int32(), "the record batch of the shard's store that holds its pictures"),
        column("sha256", pa.string(), "hash of its pixels"),
    ],
)


@dataclass(frozen=True, slots=True)
class Crop:
    """A row of ``CROPS``: a face of a test video, or a window of faces, in the store."""

    video: str
    track: int
    kind: str
    ordinal: int
    frames: Sequence[int]
    batch: int
    sha256: str
