"""Checksums inside of tables, stores, JSON files and figures, verified on every read.

Parquet and Arrow files end with a footer that tells where their data are. What lies between the data and the footer is
skipped by all readers of these formats: that is where a file's checksum is put, so that other tools still read it.

The checksum of a store covers its schema, its footer and a record of the places of all clips. The record holds two
checksums of each clip: of all of it, and of its head, which tells where its pictures begin and end. With a sound head
nothing outside of the clip is read; the pictures, PNG files, have checksums of their own. So a reader verifies what it
reads, and not more.

A submission has no room for one, because its format is given: its checksum is in a file of its own, which ``sha256sum
--check`` reads, too.
"""

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from isal import isal_zlib

from dfdc.system.errors import UserError
from dfdc.system.files import sha256, write_text
from dfdc.system.versions import versions

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


def verify_archive(path: Path, largest: int) -> None:
    """Verify the checksums in a zip archive, which PyTorch's files are, though PyTorch does not; other files have none.

    Raises ValueError with the reason if it has changed, or unpacks to more than ``largest`` bytes.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            if size > largest:
                raise ValueError(f"it unpacks to {size / 1e9:.1f} GB")
            changed = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last one if it is encrypted
        raise ValueError(str(error) or type(error).__name__) from error
    if changed is not None:
        raise ValueError(f"{changed} in it does not match its checksum")


def damaged(path: Path, reason: str) -> UserError:
    """The error for a damaged file of a run, which can be made again."""
    return UserError(f"{path} is damaged: {reason}. Delete it and run snakemake again to recreate it.")


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


CHECKSUM = "checksum"  # the key in a JSON file


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a result, the versions of libraries and a checksum atomically."""
    content = {**content, "versions": versions()}
    write_text(path, json.dumps({**content, CHECKSUM: checksum_of(content)}, indent=2) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """The content of a file that ``write_json`` wrote, without the checksum.

    Raises FileNotFoundError if it is missing, UserError if it is damaged.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder, but a JSON file was expected. Correct the path.")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"it is not valid JSON ({error})") from error
    expected = content.pop(CHECKSUM, None) if isinstance(content, dict) else None
    if expected is None:
        raise damaged(path, "it has no checksum: it was written by other software, or has changed since")
    if expected != checksum_of(content):
        raise damaged(path, "its content does not match its checksum")
    return content


def has_checksum(path: Path) -> bool:
    """Whether a file looks as if ``write_json`` wrote it: damaged ones do, too, unless the very key is damaged."""
    return f'"{CHECKSUM}"'.encode() in path.read_bytes()


def checksum_of(content: Mapping[str, Any]) -> str:
    """The checksum of values of JSON, in hexadecimal."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return _digest(text.encode()).hex()


# The comment in a figure: the digits of its checksum, which covers the file with zeros in their place.
NO_DIGITS = "0" * 2 * DIGEST
COMMENT = f"dfdc checksum {NO_DIGITS}"
FILLED = re.compile(rb"(?<=dfdc checksum )[0-9a-f]{%d}" % len(NO_DIGITS))


def with_checksum(figure: bytes) -> bytes:
    """A figure's file with its checksum, which has ``COMMENT`` in one place where its format permits comments."""
    return figure.replace(COMMENT.encode(), COMMENT.replace(NO_DIGITS, _digest(figure).hex()).encode())


def verify_figure(figure: bytes) -> bool:
    """Verify a figure's file, and return whether it has a checksum. Raises ValueError if it has changed."""
    found = FILLED.search(figure)
    if found and found.group().decode() != _digest(FILLED.sub(NO_DIGITS.encode(), figure)).hex():
        raise ValueError("its content does not match its checksum")
    return found is not None


# The checksum of a submission, from the folder of a run; and its name in there.
SUM_OF_SUBMISSION, SUBMISSION = Path("results/submission.sha256"), "submission.csv"


def write_sum(path: str | Path, submission: str | Path) -> None:
    """Write the checksum of a submission to a file that ``sha256sum --check`` reads in the folder of the run."""
    write_text(path, f"{sha256(submission)}  {SUBMISSION}\n")


def verify_submission(path: Path) -> bool:
    """Verify a submission in the folder of its run, and return whether it has a checksum, which others have not.

    Raises ValueError if it has changed since it was written.
    """
    sums = path.parent / SUM_OF_SUBMISSION
    if path.name != SUBMISSION or not sums.is_file():
        return False
    if sums.read_bytes() != f"{sha256(path)}  {SUBMISSION}\n".encode():
        raise ValueError(f"its content does not match its checksum, which is in {sums}")
    return True
