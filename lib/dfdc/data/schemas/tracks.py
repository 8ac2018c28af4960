"""Faces of one person in consecutive frames."""

import pyarrow as pa

from dfdc.data.schemas.columns import BOX, column, table

TRACKS = table(
    "tracks",
    [
        column("video", pa.string(), "file name"),
        column("track", pa.int32(), "number of the track in its video, from 0, in order of their ends"),
        column("frame", pa.int32(), "frame number"),
        column("box", BOX, "the face"),
        column("score", pa.float32(), "the detector's confidence; null where the box is interpolated"),
    ],
)
