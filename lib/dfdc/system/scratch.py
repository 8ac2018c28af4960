"""Temporary folders on a disk of this machine, and copies of files there: it reads faster than a shared disk."""

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

logger = logging.getLogger(__name__)

# Bytes that are left free for others.
SPARE = 2**30
# The name of a file in a temporary folder that is locked while its process lives.
LOCK = "in-use"


@contextlib.contextmanager
def temporary_folder(prefix: str, below: str | Path | None = None) -> Iterator[Path]:
    """Yield a new folder (below ``TMPDIR`` by default) and remove it with its content at the end.

    Folders with the same prefix that processes left behind when they were killed are removed, too. Raises OSError if
    the folder cannot be made.
    """
    place = Path(below or tempfile.gettempdir())
    for left in place.glob(f"{prefix}*/{LOCK}"):
        with contextlib.suppress(OSError), left.open("a") as lock:  # others' folders cannot be opened
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        with (folder / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # held while this process lives
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def local_copies(files: Mapping[str, Path], scratch: str | None) -> Iterator[dict[str, Path]]:
    """Copy files to a new folder below ``scratch``, yield their places by the same keys, and remove them at the end.

    Environment variables in ``scratch`` are expanded. If it is null, there is no such folder, or no room, the files are
    used where they are, which the log says.
    """
    if scratch is None:
        yield dict(files)
        return
    with contextlib.ExitStack() as kept:
        try:
            places = _copied(files, Path(os.path.expandvars(scratch)), kept)
        except OSError as error:
            kept.close()  # removes what was copied
            logger.warning(f"not copied to speed.scratch ({scratch}): {error}; the files are read where they are")
            places = dict(files)
        yield places


def _copied(files: Mapping[str, Path], folder: Path, kept: contextlib.ExitStack) -> dict[str, Path]:
    """Copy the files to a folder that is removed when ``kept`` is closed. Raises OSError if that is not possible."""
    size = sum(path.stat().st_size for path in files.values())
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise OSError(f"{size / 1e9:.1f} GB to copy, {free / 1e9:.1f} GB free")
    target = kept.enter_context(temporary_folder("dfdc-clips-", folder))
    places = {key: target / f"{number}{path.suffix}" for number, (key, path) in enumerate(files.items())}
    for key, path in files.items():
        shutil.copyfile(path, places[key])
    logger.info(f"copied {len(files)} files ({size / 1e9:.1f} GB) to {target}")
    return places
