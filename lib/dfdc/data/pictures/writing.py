"""Writing image stores."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from dfdc.system.checksums import Place, add_checksum, record_of
from dfdc.system.files import atomic_path
from dfdc.system.versions import versions

PICTURES = pa.schema([pa.field("png", pa.binary(), metadata={"description": "an RGB picture as a PNG file"})])
STREAMS = pa.schema([pa.field("h264", pa.binary(), metadata={"description": "a clip as an H.264 stream (Annex B)"})])


def write_store(path: str | Path, clips: Iterable[Sequence[bytes]], kind: pa.Schema = PICTURES) -> None:
    """Write clips, each a sequence of PNG files, to a store atomically; clip N becomes record batch N.

    With ``kind`` STREAMS the sequences are of H.264 streams.
    """
    schema = kind.with_metadata({"versions": json.dumps(versions())})
    with atomic_path(path) as temporary:
        places: list[Place] = []
        with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for pictures in clips:
                batch = pa.record_batch([pa.array(pictures, pa.binary())], schema=schema)
                writer.write_batch(batch)
                places.append(Place.of(file.tell(), batch.serialize(), len(pictures)))
        add_checksum(temporary, covered=places[0].start if places else None, record=record_of(places))
