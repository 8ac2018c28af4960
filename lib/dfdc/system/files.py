"""Atomic writing of files, and hashes of files."""

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
    """Yield a temporary path next to ``path`` to write to, and rename it to ``path`` if the block succeeds.

    The folder is created. If the block raises, the temporary file is removed and ``path`` is left unchanged.
    Raises UserError if the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left_over in path.parent.glob(f".{glob.escape(path.name)}.*.part"):  # of a process that was killed
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
    """Whether an error means that the disk is full or the user's quota is exceeded."""
    # safetensors only mentions the error number in the message.
    numbers = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in numbers or any(f"(os error {number})" in str(error) for number in numbers)


def full_disk(path: str | os.PathLike) -> str:
    """The error message if there is no space for a file."""
    folder = Path(path).parent
    free = f" ({shutil.disk_usage(folder).free / 1e6:.0f} MB are free)" if folder.is_dir() else ""
    return (
        f"The disk is full: there was no space to write {Path(path).absolute()}{free}. The partial file was removed; "
        "finished files are intact. Free some space, then run again: the run resumes from there."
    )


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
