"""Scores of videos and clips beside their labels."""

from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

EVALUATED = table(
    "evaluated",
    [
        column("part", pa.string(), "training part; empty for test videos"),
        column("video", pa.string(), "file name"),
        column("clip", pa.int32(), "number of the clip in the part's store; null for test videos"),
        column("source", pa.string(), "the real video behind it; what has one source is no independent witness"),
        column("method", pa.string(), "how a fake was made, if that is known; else empty"),
        column("label", pa.int32(), "1 for fake, 0 for real"),
        column("condition", pa.string(), "test for test videos; plain, or how a clip was compressed again"),
        column("models", pa.string(), "ensemble (all of them), the name of one, or of two with a plus between"),
        column("calibration", pa.string(), "published, exponent or temperature, see ensemble.calibration"),
        column("score", pa.float64(), "the probability of being fake, 0 to 1"),
    ],
)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A row of ``EVALUATED``: a test video, or a validation clip, as one model or some together score it."""

    part: str
    video: str
    clip: int | None
    source: str
    method: str
    label: int
    condition: str
    models: str
    calibration: str
    score: float
