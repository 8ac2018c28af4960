"""Tracks of real videos and the tracks of their fakes that show the same face."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import BOX, column, table

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


@dataclass(frozen=True, slots=True)
class AlignedTrack:
    """A row of ``ALIGNED``: a track of a real video with one of a fake of it (F common frames, F x 4 boxes each), or
    why there is none."""

    real: str
    fake: str
    status: str
    reason: str = ""
    real_track: int | None = None
    fake_track: int | None = None
    frames: Sequence[int] = ()
    real_boxes: Sequence[Sequence[float]] = ()
    fake_boxes: Sequence[Sequence[float]] = ()
