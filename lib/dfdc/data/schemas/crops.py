"""The index of the face crops of a shard of test videos."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

CROPS = table(
    "crops",
    [
        column("video", pa.string(), "file name"),
        column("track", pa.int32(), "number of the track in its video"),
        column("kind", pa.string(), "frame (one face) or sequence (a window of faces cut with the same box)"),
        column(
            "ordinal",
            pa.int32(),
            "number of the face or window in its track, from 0; even ones are flipped",
        ),
        column("frames", pa.list_(pa.int32()), "frame numbers of its images"),
        column("batch", pa.int32(), "record batch of its images in the shard's store"),
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
