"""What detection finds, in training videos and in test videos."""

import pyarrow as pa

from dfdc.data.schemas.columns import BOX, column, table

_VIDEO = [
    column("video", pa.string(), "file name"),
    column(
        "status",
        pa.string(),
        "ok, no face, damaged (the frames before the damage are used, or some are decoded in part only) or unreadable",
    ),
    column("reason", pa.string(), "what is wrong, in words; empty if nothing is"),
    column("frames", pa.int32(), "frames that could be decoded"),
    column("in_order", pa.bool_(), "whether each of them has a time stamp, later than that of the one before"),
    column("width", pa.int32(), "pixels of the upright frame"),
    column("height", pa.int32(), "pixels of the upright frame"),
    column("fps", pa.float64(), "frames a second on average, as the file states it"),
]

VIDEOS = table(
    "videos",
    [
        *_VIDEO,
        column("label", pa.string(), "REAL or FAKE, from metadata.json"),
        column("original", pa.string(), "for a fake the real video that it was made from, else empty"),
    ],
)

TEST_VIDEOS = table(
    "test_videos", [*_VIDEO, column("step", pa.int32(), "every step-th frame is kept, which makes about 15 a second")]
)

DETECTIONS = table(
    "detections",
    [
        column("video", pa.string(), "file name"),
        column("frame", pa.int32(), "frame number"),
        column("box", BOX, "the face"),
        column("score", pa.float32(), "the detector's confidence, 0 to 1"),
    ],
)
