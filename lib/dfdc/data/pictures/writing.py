"""Writing image stores."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from dfdc.system.files import atomic_path
from dfdc.system.versions import versions

SCHEMA = pa.schema([pa.field("png", pa.binary(), metadata={"description": "an RGB picture as a PNG file"})])


def write_store(path: str | Path, clips: Iterable[Sequence[bytes]]) -> None:
    """Write clips, each a sequence of PNG files, to a store atomically; clip N becomes record batch N."""
    schema = SCHEMA.with_metadata({"versions": json.dumps(versions())})
    with (
        atomic_path(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, schema) as writer,
    ):
        for pictures in clips:
            writer.write_batch(pa.record_batch([pa.array(pictures, pa.binary())], schema=schema))
