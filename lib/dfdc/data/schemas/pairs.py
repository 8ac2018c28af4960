"""Pairs of a real and a fake clip."""

from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

PAIRS = table(
    "pairs",
    [
        column("part", pa.string(), "training part"),
        column("real", pa.string(), "file name of the real video"),
        column("fake", pa.string(), "file name of the fake"),
        column("real_clip", pa.int32(), "number of the real clip in the part's store"),
        column("fake_clip", pa.int32(), "number of the fake clip in the part's store"),
        column("frames", pa.int32(), "frames that both clips have"),
        column("real_sha256", pa.string(), "hash of the real clip's pixels"),
        column(
            "fake_sha256",
            pa.string(),
            "hash of the fake clip's pixels; equal to real_sha256 if only the sound is fake",
        ),
        column("difference", pa.float32(), "how much the clips differ, 0 (equal frames) to 255"),
        column(
            "split",
            pa.string(),
            "train or validation (set aside); the same for all pairs of a real video",
        ),
    ],
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A row of ``PAIRS``: a real clip and its fake; ``split`` is empty until it is assigned."""

    part: str
    real: str
    fake: str
    real_clip: int
    fake_clip: int
    frames: int
    real_sha256: str
    fake_sha256: str
    difference: float
    split: str = ""
