"""Copies of files on a disk of this machine, which reads faster than one that many machines share."""

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

logger = logging.getLogger(__name__)

# Bytes that are left free for others.
SPARE = 2**30


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
    target = Path(
        kept.enter_context(tempfile.TemporaryDirectory(prefix="dfdc-", dir=folder, ignore_cleanup_errors=True))
    )
    places = {key: target / f"{number}{path.suffix}" for number, (key, path) in enumerate(files.items())}
    for key, path in files.items():
        shutil.copyfile(path, places[key])
    logger.info(f"copied {len(files)} files ({size / 1e9:.1f} GB) to {target}")
    return places
