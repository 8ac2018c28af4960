"""Scores of videos and clips with their labels."""

from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

EVALUATED = table(
    "evaluated",
    [
        column("part", pa.string(), "training part; empty for test videos"),
        column("video", pa.string(), "file name"),
        column("clip", pa.int32(), "number of the clip in the part's store; null for test videos"),
        column("source", pa.string(), "the real video it was made from; rows with the same source are not independent"),
        column("method", pa.string(), "manipulation method of a fake, if known; else empty"),
        column("label", pa.int32(), "1 for fake, 0 for real"),
        column("condition", pa.string(), "test for test videos; for clips plain, or how the clip was recompressed"),
        column("models", pa.string(), "ensemble (all models), the name of one model, or two names joined by a plus"),
        column("calibration", pa.string(), "published, exponent or temperature, see ensemble.calibration"),
        column("score", pa.float64(), "the probability of being fake, 0 to 1"),
    ],
)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A row of ``EVALUATED``: the score of a test video or validation clip by one or several models."""

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
