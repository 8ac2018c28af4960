"""Pairs of a real and a fake clip, and their recompressed variants."""

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

VARIANTS = table(
    "variants",
    [
        column("part", pa.string(), "training part"),
        column("real", pa.string(), "file name of the real video"),
        column("fake", pa.string(), "file name of the fake"),
        column("fake_clip", pa.int32(), "number of the fake clip in the part's store of clips"),
        column("variant", pa.int32(), "number of the variant, from 0"),
        column("batch", pa.int32(), "its record batch in the part's store of variants: the real stream, then the fake"),
        column("frames", pa.int32(), "frames of each clip that were encoded, before the frame rate was changed"),
        column("fps", pa.int32(), "frame rate"),
        column("scale", pa.float64(), "factor on both sides"),
        column("crf", pa.int32(), "constant rate factor of H.264"),
        column("tune", pa.string(), "tune of libx264"),
        column("width", pa.int32(), "width of the recompressed pictures"),
        column("height", pa.int32(), "height of the recompressed pictures"),
        column("bytes", pa.int64(), "size of both streams"),
        column("status", pa.string(), "ok, or failed if it could not be encoded"),
        column("reason", pa.string(), "why it failed; empty if it did not"),
        column("sha256", pa.string(), "hash of both streams"),
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


@dataclass(frozen=True, slots=True)
class Variant:
    """A row of ``VARIANTS``: a pair of clips, encoded with one draw of the parameters."""

    part: str
    real: str
    fake: str
    fake_clip: int
    variant: int
    batch: int | None
    frames: int
    fps: int
    scale: float
    crf: int
    tune: str
    width: int | None = None
    height: int | None = None
    bytes: int = 0
    status: str = "ok"
    reason: str = ""
    sha256: str = ""
