"""Files that are complete or not there at all, and hashes of files."""

import contextlib
import errno
import glob
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dfdc.system.errors import UserError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; rename it to ``path`` when the block ends well.

    The folder is made. If the block raises, the temporary file is removed and ``path`` stays as it was.
    Raises UserError if the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left_over in path.parent.glob(f".{glob.escape(path.name)}.*.part"):  # by a process that was killed
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


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that the disk, or the user's share of it, is full."""
    # safetensors gives the number in words alone.
    numbers = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in numbers or any(f"(os error {number})" in str(error) for number in numbers)


def full_disk(path: str | os.PathLike) -> str:
    """What to tell a user who has no room for a file."""
    folder = Path(path).parent
    free = f" ({shutil.disk_usage(folder).free / 1e6:.0f} MB are free)" if folder.is_dir() else ""
    return (
        f"The disk is full: there was no room to finish {Path(path).absolute()}{free}. Nothing half-written is left of "
        "it, and what was finished before is safe. Make room, then run again: it goes on from there."
    )


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
