"""Atomic writing of files, and hashes of files."""

import contextlib
import errno
import glob
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from dfdc.system.errors import UserError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path next to ``path`` to write to, and rename it to ``path`` if the block succeeds.

    The folder is created. If the block raises, the temporary file is removed and ``path`` is left unchanged.
    Raises UserError if the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{_short(path.name)}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left_over in left_overs(path):
            left_over.unlink(missing_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except Exception as error:
        if is_disk_full(error):
            raise UserError(full_disk(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def left_overs(path: Path) -> list[Path]:
    """The temporary files that ``atomic_path`` left next to ``path`` in processes that were killed."""
    return list(path.parent.glob(f".{glob.escape(_short(path.name))}.*.part"))


def _short(name: str) -> str:
    """A file name, cut off so that it can be part of a longer one: names may have 255 bytes."""
    while len(os.fsencode(name)) > 200:
        name = name[:-1]
    return name


def is_disk_full(error: BaseException) -> bool:
    """Whether an error means that the disk is full or the user's quota is exceeded."""
    # safetensors only mentions the error number in the message.
    numbers = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in numbers or any(f"(os error {number})" in str(error) for number in numbers)


def full_disk(path: str | os.PathLike, records: str = "") -> str:
    """The error message if there is no space for a file, or for ``records`` of a run in a folder."""
    folder = Path(path) if records else Path(path).parent
    free, remedy = "", "Free some space"
    if folder.is_dir():
        disk = os.statvfs(folder)
        free = f" ({disk.f_bavail * disk.f_frsize / 1e6:.0f} MB are free)"
        if disk.f_files and not disk.f_favail:
            free, remedy = " (it holds as many files as it can: no inodes are free)", "Delete files"
    what = f"for {records} in {folder.absolute()}" if records else f"to write {Path(path).absolute()}"
    removed = "Finished files are intact." if records else "The partial file was removed; finished files are intact."
    return (
        f"The disk is full: there was no space {what}{free}. {removed} {remedy}, then run again: the run resumes from "
        "there."
    )


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
