"""Where the clips of a store lie in its file, and their checksums.

A store is an Arrow file. The checksum of the file covers its schema, its footer and a record of the places of all
clips, which holds two checksums of each: of the clip as a whole, and of its head, which tells where its pictures begin
and end. With a sound head nothing outside of the clip is read; the pictures, PNG files, have checksums of their own.
So a reader verifies what it reads, and not more.
"""

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from isal import isal_zlib

PREFIX = Struct("<iI")  # of a message in an Arrow file: -1, and the length of the metadata that follow
OFFSET = 4  # bytes
PLACES = np.dtype([("start", "<u8"), ("length", "<u8"), ("head", "<u4"), ("sum_of_head", "<u4"), ("sum", "<u4")])


class Place(NamedTuple):
    """The place of a clip in the file in bytes, the length of its head, and the CRC-32 of the head and of all."""

    start: int
    length: int
    head: int
    sum_of_head: int
    sum: int

    @classmethod
    def of(cls, end: int, message: pa.Buffer, pictures: int) -> "Place":
        """The place of a clip that was written as ``message``, up to ``end``."""
        data = memoryview(message)
        head = PREFIX.size + PREFIX.unpack_from(data)[1] + OFFSET * (pictures + 1)
        return cls(end - len(data), len(data), head, isal_zlib.crc32(data[:head]), isal_zlib.crc32(data))


def record_of(places: Sequence[Place]) -> bytes:
    """The places of all clips as bytes."""
    return np.array(places, PLACES).tobytes()


def places_in(record: bytes) -> np.ndarray:
    """The places of all clips, as an array of ``PLACES``. Raises ValueError if the bytes are no such record."""
    return np.frombuffer(record, PLACES)
