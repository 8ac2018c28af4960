"""Aligned tracks: a track of a real video and the track of its fake that shows the same face."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import BOX, column, table

ALIGNED = table(
    "aligned",
    [
        column("real", pa.string(), "file name of the real video"),
        column("fake", pa.string(), "file name of the fake"),
        column("status", pa.string(), "aligned, or unaligned if this fake (or track) has no counterpart"),
        column("reason", pa.string(), "why it is unaligned; if aligned, from what size the fake is scaled, or empty"),
        column("real_track", pa.int32(), "track of the real video"),
        column("fake_track", pa.int32(), "track of the fake"),
        column("frames", pa.list_(pa.int32()), "the sampled frames that both tracks have"),
        column("real_boxes", pa.list_(BOX), "box of the real face in each of these frames"),
        column(
            "fake_boxes", pa.list_(BOX), "box of the fake face in each of these frames, in pixels of the real video"
        ),
    ],
)


@dataclass(frozen=True, slots=True)
class AlignedTrack:
    """A row of ``ALIGNED``: a track of a real video and one of its fake (F common frames, F x 4 boxes each), or the
    reason why a fake or track has no counterpart."""

    real: str
    fake: str
    status: str
    reason: str = ""
    real_track: int | None = None
    fake_track: int | None = None
    frames: Sequence[int] = ()
    real_boxes: Sequence[Sequence[float]] = ()
    fake_boxes: Sequence[Sequence[float]] = ()
