"""Checksums inside of tables and stores, verified on every read.

Parquet and Arrow files end with a footer that tells where their data are. What lies between the data and the footer is
skipped by all readers of these formats: that is where a file's checksum is put, so that other tools still read it.
"""

import hashlib
from pathlib import Path
from struct import Struct

from dfdc.system.errors import UserError

# The ends of Parquet and Arrow files: the length of the footer (4 bytes), then one of these.
ENDS = (b"PAR1", b"ARROW1")
LENGTH = Struct("<I")
# Behind the record: how many bytes at the start of the file are covered, how many there are before the record, the
# length of the record, the checksum.
SEAL, MARK, DIGEST = Struct("<QQI"), b"dfdc sum", 16


def add_checksum(path: Path, covered: int | None = None, record: bytes = b"") -> None:
    """Add a checksum to a complete Parquet or Arrow file, and a ``record`` of the caller's beside it.

    It covers the first ``covered`` bytes of the file (by default all before the footer), the record and the footer.
    """
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 64))
        start = size - _footer_length(file.read())
        file.seek(start)
        footer = file.read()
        file.seek(0)
        covered = start if covered is None else covered
        lengths = SEAL.pack(covered, start, len(record))
        digest = _digest(file.read(covered), record, lengths, footer)
        file.seek(start)
        file.write(record + lengths + digest + MARK + footer)


def verify_checksum(data: memoryview) -> bytes:
    """Verify the checksum of a file's content, see ``add_checksum``, and return the record beside it.

    Raises ValueError with the reason if the file is incomplete, has no checksum, or has changed since it was written.
    """
    data = data.cast("B")  # pyarrow's buffers are of signed bytes
    start = len(data) - _footer_length(bytes(data[-64:]))
    place = start - len(MARK) - DIGEST - SEAL.size
    if place < 0 or data[start - len(MARK) : start] != MARK:
        raise ValueError("it has no checksum: it was written by other software, or its end has changed")
    lengths = data[place : place + SEAL.size]
    covered, before, length = SEAL.unpack(lengths)
    record = data[max(0, place - length) : place]
    digest = _digest(data[:covered], record, lengths, data[start:])
    if before + length != place or digest != data[place + SEAL.size : start - len(MARK)]:
        raise ValueError("its content does not match its checksum")
    return bytes(record)


def damaged(path: Path, reason: str) -> UserError:
    """The error for a damaged file of a run, which can be made again."""
    return UserError(f"{path} is damaged: {reason}. Delete it and run snakemake again, which makes it anew.")


def _digest(*contents: bytes | memoryview) -> bytes:
    digest = hashlib.blake2b(digest_size=DIGEST)
    for content in contents:
        digest.update(content)
    return digest.digest()


def _footer_length(tail: bytes) -> int:
    """The length of the footer including what follows it, from the last bytes of a file."""
    for end in ENDS:
        rest = len(end) + LENGTH.size
        if tail.endswith(end) and len(tail) >= rest:
            return LENGTH.unpack_from(tail, len(tail) - rest)[0] + rest
    raise ValueError("it is incomplete, or its end has changed")
