"""Tracks of real videos and the tracks of their fakes that show the same face."""

import pyarrow as pa

from dfdc.data.schemas.columns import BOX, column, table

ALIGNED = table(
    "aligned",
    [
        column("real", pa.string(), "file name of the real video"),
        column("fake", pa.string(), "file name of the fake"),
        column("status", pa.string(), "aligned, or unaligned where this fake (or track) has no partner"),
        column("reason", pa.string(), "why it is unaligned, in words; else empty"),
        column("real_track", pa.int32(), "track of the real video"),
        column("fake_track", pa.int32(), "track of the fake"),
        column("frames", pa.list_(pa.int32()), "the sampled frames that both tracks have"),
        column("real_boxes", pa.list_(BOX), "the real face at each of these frames"),
        column("fake_boxes", pa.list_(BOX), "the fake face at each of these frames"),
    ],
)
