"""Scores of the frames of validation clips."""

from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

VALIDATION_SCORES = table(
    "validation_scores",
    [
        column("part", pa.string(), "training part"),
        column("real", pa.string(), "file name of the real video of the pair"),
        column("fake", pa.string(), "file name of the fake of the pair"),
        column("label", pa.string(), "REAL or FAKE: which clip of the pair this is"),
        column("clip", pa.int32(), "number of the clip in the part's store"),
        column("height", pa.int32(), "height in pixels of the clip's images, which show slightly more than the face"),
        column("condition", pa.string(), "plain (as it was cut), or how the clip was recompressed"),
        column("frame", pa.int32(), "frame number in the clip"),
        column(
            "sharpness",
            pa.float32(),
            "variance of the Laplacian of the frame as the network sees it, in grey; small if it is blurred",
        ),
        column(
            "yaw",
            pa.float32(),
            "how far the face is turned to the side: how far the nose is from midway between the eyes, along the line "
            "through them, in distances between the eyes; null if no face was found, and if the clip was recompressed",
        ),
        column("probability", pa.float32(), "the network's probability that this frame is fake"),
    ],
)


@dataclass(frozen=True, slots=True)
class ValidationScore:
    """A row of ``VALIDATION_SCORES``: a model's score of a frame of a validation clip under one condition."""

    part: str
    real: str
    fake: str
    label: str
    clip: int
    height: int
    condition: str
    frame: int
    sharpness: float
    yaw: float | None
    probability: float
