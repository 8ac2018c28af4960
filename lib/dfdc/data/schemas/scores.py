"""Scores of the faces in test videos."""

import pyarrow as pa

from dfdc.data.schemas.columns import column, table

SCORES = table(
    "scores",
    [
        column("video", pa.string(), "file name"),
        column("track", pa.int32(), "number of the track in its video"),
        column("frame", pa.int32(), "frame number"),
        column("probability", pa.float32(), "of this face being fake, as the network gives it"),
    ],
)
