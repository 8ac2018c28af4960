"""Recompressed variants of pairs of clips."""

from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

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
