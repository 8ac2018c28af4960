"""The schema of every table, and the only way in which tables are written and read.

Tables are Parquet files. Frames are numbered from 0; boxes are (x1, y1, x2, y2) in pixels of the upright frame.
The description of a column is kept in the file, so that a table explains itself.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dfdc.errors import UserError
from dfdc.files import atomic_path

BOX = pa.list_(pa.float32(), 4)


def _column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": description})


_VIDEO = [
    _column("video", pa.string(), "file name"),
    _column(
        "status",
        pa.string(),
        "ok, no face, damaged (the frames before the damage are used, or some are decoded in part only) or unreadable",
    ),
    _column("reason", pa.string(), "what is wrong, in words; empty if nothing is"),
    _column("frames", pa.int32(), "frames that could be decoded"),
    _column("in_order", pa.bool_(), "whether each of them has a time stamp, later than that of the one before"),
    _column("width", pa.int32(), "pixels of the upright frame"),
    _column("height", pa.int32(), "pixels of the upright frame"),
    _column("fps", pa.float64(), "frames a second on average, as the file states it"),
]

SCHEMAS: dict[str, pa.Schema] = {
    "videos": pa.schema(
        [
            *_VIDEO,
            _column("label", pa.string(), "REAL or FAKE, from metadata.json"),
            _column("original", pa.string(), "for a fake the real video that it was made from, else empty"),
        ]
    ),
    "test_videos": pa.schema(
        [*_VIDEO, _column("step", pa.int32(), "every step-th frame is kept, which makes about 15 a second")]
    ),
    "detections": pa.schema(
        [
            _column("video", pa.string(), "file name"),
            _column("frame", pa.int32(), "frame number"),
            _column("box", BOX, "the face"),
            _column("score", pa.float32(), "the detector's confidence, 0 to 1"),
        ]
    ),
    "tracks": pa.schema(
        [
            _column("video", pa.string(), "file name"),
            _column("track", pa.int32(), "number of the track in its video, from 0, in order of their ends"),
            _column("frame", pa.int32(), "frame number"),
            _column("box", BOX, "the face"),
            _column("score", pa.float32(), "the detector's confidence; null where the box is interpolated"),
        ]
    ),
    "aligned": pa.schema(
        [
            _column("real", pa.string(), "file name of the real video"),
            _column("fake", pa.string(), "file name of the fake"),
            _column("status", pa.string(), "aligned, or unaligned where this fake (or track) has no partner"),
            _column("reason", pa.string(), "why it is unaligned, in words; else empty"),
            _column("real_track", pa.int32(), "track of the real video"),
            _column("fake_track", pa.int32(), "track of the fake"),
            _column("frames", pa.list_(pa.int32()), "the sampled frames that both tracks have"),
            _column("real_boxes", pa.list_(BOX), "the real face at each of these frames"),
            _column("fake_boxes", pa.list_(BOX), "the fake face at each of these frames"),
        ]
    ),
    "clips": pa.schema(
        [
            _column("part", pa.string(), "training part"),
            _column(
                "clip",
                pa.int32(),
                "record batch of the part's store that holds the clip; null if none does",
            ),
            _column("label", pa.string(), "REAL or FAKE"),
            _column("video", pa.string(), "file name of the video that the clip was cut from"),
            _column("real", pa.string(), "file name of the real video of the aligned track"),
            _column("fake", pa.string(), "file name of the fake of the aligned track"),
            _column("real_track", pa.int32(), "track of the real video"),
            _column("fake_track", pa.int32(), "track of the fake"),
            _column("first_frame", pa.int32(), "frame number of the clip's first frame"),
            _column("box", pa.list_(pa.int32(), 4), "the pixels that were cut"),
            _column("frames", pa.int32(), "frames in the clip"),
            _column("bytes", pa.int64(), "size of the clip's PNG files in the store; 0 if it is not there"),
            _column(
                "status",
                pa.string(),
                "ok, short (near the video's end) or failed (then it is not in the store)",
            ),
            _column("reason", pa.string(), "why it is short or failed, in words; else empty"),
            _column("sha256", pa.string(), "hash of the clip's pixels"),
            _column(
                "difference",
                pa.float32(),
                "of a fake: how much it differs from its real twin, 0 (equal frames) to 255; "
                "null for real clips, and where there is no twin",
            ),
        ]
    ),
    "pairs": pa.schema(
        [
            _column("part", pa.string(), "training part"),
            _column("real", pa.string(), "file name of the real video"),
            _column("fake", pa.string(), "file name of the fake"),
            _column("real_clip", pa.int32(), "number of the real clip in the part's store"),
            _column("fake_clip", pa.int32(), "number of the fake clip in the part's store"),
            _column("frames", pa.int32(), "frames that both clips have"),
            _column("real_sha256", pa.string(), "hash of the real clip's pixels"),
            _column(
                "fake_sha256",
                pa.string(),
                "hash of the fake clip's pixels; equal to the other if only the sound is fake",
            ),
            _column("difference", pa.float32(), "how much the clips differ, 0 (equal frames) to 255"),
            _column(
                "split",
                pa.string(),
                "train or validation (kept out of training); the same for all pairs of a real video",
            ),
        ]
    ),
    "metrics": pa.schema(
        [
            _column("iteration", pa.int32(), "from 1"),
            _column("loss", pa.float32(), "binary cross-entropy of the mixed batch"),
            _column("learning_rate", pa.float64(), "of this step"),
            _column("gradient_norm", pa.float32(), "L2 norm over all trained parameters"),
        ]
    ),
    "validation": pa.schema(
        [
            _column("iteration", pa.int32(), "after which the model was measured"),
            _column("clips", pa.string(), "plain (as they were cut) or recompressed"),
            _column("count", pa.int32(), "clips, half of them real"),
            _column("log_loss", pa.float64(), "mean over the clips; a clip's probability is the mean over its frames"),
            _column("auc", pa.float64(), "area under the ROC curve"),
        ]
    ),
    "crops": pa.schema(
        [
            _column("video", pa.string(), "file name"),
            _column("track", pa.int32(), "number of the track in its video"),
            _column("kind", pa.string(), "frame (one face) or sequence (a window of faces cut with one box)"),
            _column(
                "ordinal",
                pa.int32(),
                "number of the face or window in its track, from 0; the even ones are flipped",
            ),
            _column("frames", pa.list_(pa.int32()), "the frame numbers of its pictures"),
            _column("batch", pa.int32(), "the record batch of the shard's store that holds its pictures"),
            _column("sha256", pa.string(), "hash of its pixels"),
        ]
    ),
    "scores": pa.schema(
        [
            _column("video", pa.string(), "file name"),
            _column("track", pa.int32(), "number of the track in its video"),
            _column("frame", pa.int32(), "frame number"),
            _column("probability", pa.float32(), "of this face being fake, as the network gives it"),
        ]
    ),
    "held_out": pa.schema(
        [
            _column("part", pa.string(), "training part"),
            _column("real", pa.string(), "file name of the real video of the pair"),
            _column("fake", pa.string(), "file name of the fake of the pair"),
            _column("label", pa.string(), "REAL or FAKE: which clip of the pair this is"),
            _column("clip", pa.int32(), "number of the clip in the part's store"),
            _column("height", pa.int32(), "pixels of the clip's pictures, which show a bit more than the face"),
            _column("condition", pa.string(), "plain (as it was cut), or how the clip was compressed again"),
            _column("frame", pa.int32(), "frame number in the clip"),
            _column("probability", pa.float32(), "of this frame being fake, as the network gives it"),
        ]
    ),
    "evaluated": pa.schema(
        [
            _column("part", pa.string(), "training part; empty for test videos"),
            _column("video", pa.string(), "file name"),
            _column("clip", pa.int32(), "number of the clip in the part's store; null for test videos"),
            _column("source", pa.string(), "the real video behind it; what has one source is no independent witness"),
            _column("method", pa.string(), "how a fake was made, if that is known; else empty"),
            _column("label", pa.int32(), "1 for fake, 0 for real"),
            _column("condition", pa.string(), "test for test videos; plain, or how a clip was compressed again"),
            _column("models", pa.string(), "ensemble (all of them), the name of one, or of two with a plus between"),
            _column("calibration", pa.string(), "published, exponent or temperature, see ensemble.calibration"),
            _column("score", pa.float64(), "the probability of being fake, 0 to 1"),
        ]
    ),
}


def write_table(path: str | Path, name: str, rows: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> None:
    """Write a table atomically, after checking it against its schema.

    ``rows`` is a mapping from column to values, or an iterable of rows. ``name`` is a key of ``SCHEMAS``.
    Raises pyarrow's error if a value does not fit its column, ValueError if columns are missing or unknown.
    """
    schema = SCHEMAS[name]
    rows = rows if isinstance(rows, Mapping) else list(rows)
    faults = {
        column for row in ([rows] if isinstance(rows, Mapping) else rows) for column in set(row) ^ set(schema.names)
    }
    if faults:
        raise ValueError(f"table {name}: these columns are missing or unknown: {sorted(faults)}")
    columns = rows if isinstance(rows, Mapping) else {key: [row[key] for row in rows] for key in schema.names}
    table = pa.table({column: pa.array(columns[column], schema.field(column).type) for column in schema.names})
    schema = schema.with_metadata({"table": name})
    with atomic_path(path) as temporary:
        pq.write_table(table.cast(schema), temporary, compression="zstd")


def read_table(path: str | Path, name: str) -> pa.Table:
    """Read a table and check that it is the one that is meant.

    Raises UserError if the file is missing, is not Parquet, or has other columns than ``SCHEMAS[name]``.
    """
    path = Path(path)
    remedy = "Delete the file and run snakemake again: the stage that writes it will make it anew."
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"The table {path} is missing. Run snakemake: the stage that writes it will make it.") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} cannot be read as a table ({error}). {remedy}") from error
    schema = SCHEMAS[name]
    if not table.schema.equals(schema):
        expected, found = set(map(str, schema)), set(map(str, table.schema))
        raise UserError(
            f"{path} is not a table of {name}: expected {sorted(expected - found)}, "
            f"found {sorted(found - expected)}. {remedy}"
        )
    return table


def boxes_of(column: pa.ChunkedArray | pa.Array):
    """A column of boxes as a float32 (or int32) numpy array of N x 4."""
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)


def type_in_words(kind: pa.DataType) -> str:
    """A column's type as numpy would call it: ``int32``, ``4 float32``, ``list of 4 float32``."""
    if pa.types.is_fixed_size_list(kind):
        return f"{kind.list_size} {type_in_words(kind.value_type)}"
    if pa.types.is_list(kind):
        return f"list of {type_in_words(kind.value_type)}"
    return kind.to_pandas_dtype().__name__ if pa.types.is_floating(kind) else str(kind)
