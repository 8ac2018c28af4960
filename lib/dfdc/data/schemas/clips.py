"""The index of the clips of a part."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

CLIPS = table(
    "clips",
    [
        column("part", pa.string(), "training part"),
        column(
            "clip",
            pa.int32(),
            "record batch of the clip in the part's store; null if the clip is not stored",
        ),
        column("label", pa.string(), "REAL or FAKE"),
        column("video", pa.string(), "file name of the video that the clip was cut from"),
        column("real", pa.string(), "file name of the real video of the aligned track"),
        column("fake", pa.string(), "file name of the fake of the aligned track"),
        column("real_track", pa.int32(), "track of the real video"),
        column("fake_track", pa.int32(), "track of the fake"),
        column("first_frame", pa.int32(), "frame number of the clip's first frame"),
        column("box", pa.list_(pa.int32(), 4), "box that the clip was cut with"),
        column("frames", pa.int32(), "number of frames in the clip"),
        column("bytes", pa.int64(), "size of the clip's PNG files in the store; 0 if it is not stored"),
        column(
            "status",
            pa.string(),
            "ok, short (near the video's end or damage), damaged (frames decoded in part only) or failed (not stored)",
        ),
        column("reason", pa.string(), "why it is short, damaged or failed; empty if it is ok"),
        column("sha256", pa.string(), "hash of the clip's pixels"),
        column(
            "difference",
            pa.float32(),
            "for a fake clip: how much it differs from the real clip, 0 (equal frames) to 255; "
            "null for real clips, and if there is no real clip",
        ),
    ],
)


@dataclass(frozen=True, slots=True)
class Clip:
    """A row of ``CLIPS``: a clip that was cut or should have been; ``box`` is (x1, y1, x2, y2) in whole pixels."""

    part: str
    clip: int | None
    label: str
    video: str
    real: str
    fake: str
    real_track: int
    fake_track: int
    first_frame: int | None
    box: Sequence[int] | None
    frames: int
    bytes: int
    status: str
    reason: str
    sha256: str
    difference: float | None = None
