"""A lock on a folder that one process holds at a time, on any machine that shares the disk.

The lock is a file with a number, and the highest number counts. Whoever finds that its holder has ended, or has
released it (the name then ends in .free), creates the file with the next number, which a file system lets only one
process do. No number is used twice while a higher one exists, so a process that comes back after it was taken for dead,
or that acts on what it saw long ago, cannot mistake another's lock for its own.
"""

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dfdc.system.locks.heartbeats import RHYTHM, Heartbeat, Rhythm, Sign, Verdict, Watch

logger = logging.getLogger(__name__)

_NAME = re.compile(r"lock-(\d+)(\.free)?")


class LockTaken(Exception):
    """Another process holds the lock. The message names it, with the age of its heartbeat."""


class LockLost(Exception):
    """This process does not hold the lock any more. The message says who does."""


@dataclass(frozen=True)
class Lock:
    """A lock that is held by this process, or by the one that has handed it over."""

    folder: Path
    number: int

    def check(self) -> None:
        """Raise LockLost if another process has taken the lock, because the heartbeat of its holder was old."""
        number, path = _highest(self.folder)
        if path != _path(self.folder, self.number):
            sign = Sign.read(path) if path and number > self.number else None
            raise LockLost(str(sign or "nobody: the lock's file was removed"))


@contextlib.contextmanager
def locked(
    folder: Path, patience: float = 0.0, rhythm: Rhythm = RHYTHM, lost: Callable[[], None] = lambda: None
) -> Iterator[Lock]:
    """Hold the lock of an existing folder during the block.

    Raises LockTaken if another process holds it, and is known to be alive, for more than ``patience`` seconds. If the
    holder is on another machine and has not renewed its heartbeat yet, this waits until it has, or until it counts as
    dead. ``lost`` is called in another thread if another process takes the lock, see ``Lock.check``.
    """
    folder = folder.absolute()
    number, heartbeat = _acquire(folder, patience, rhythm, lost)
    try:
        yield Lock(folder, number)
    finally:
        heartbeat.end(renamed=_path(folder, number).with_suffix(".free"))


def _acquire(folder: Path, patience: float, rhythm: Rhythm, lost: Callable[[], None]) -> tuple[int, Heartbeat]:
    watch, end, told = Watch(rhythm), time.monotonic() + patience, False
    while True:
        number, path = _highest(folder)
        holder = Sign.read(path) if path and path.suffix != ".free" else None
        verdict = watch.judge(holder) if holder else Verdict.DEAD
        if verdict is Verdict.DEAD:
            if heartbeat := _create(folder, number + 1, rhythm, lost):
                return number + 1, heartbeat
            continue
        if verdict is Verdict.ALIVE and time.monotonic() >= end:
            raise LockTaken(str(holder))
        if verdict is Verdict.UNSURE and not told:
            logger.info(f"{folder} is locked ({holder}): waiting to see whether that process is alive")
            told = True
        time.sleep(min(rhythm.beat / 10, 1.0))


def _create(folder: Path, number: int, rhythm: Rhythm, lost: Callable[[], None]) -> Heartbeat | None:
    """Create the file of a number and remove those of lower ones; None if another process was faster."""
    try:
        heartbeat = Heartbeat(_path(folder, number), rhythm, lost)
    except FileExistsError:
        return None
    if _highest(folder)[0] != number:  # higher ones have come and this one has gone since the folder was looked at
        heartbeat.end()
        return None
    for path, other in _files(folder):
        if other < number:
            path.unlink(missing_ok=True)
    return heartbeat


def _highest(folder: Path) -> tuple[int, Path | None]:
    """The highest number of a lock file, and the file; 0 and None if there is none."""
    return max(((number, path) for path, number in _files(folder)), default=(0, None))


def _files(folder: Path) -> list[tuple[Path, int]]:
    """The lock files in a folder, which may have been removed, and their numbers."""
    try:
        found = [(path, _NAME.fullmatch(path.name)) for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return [(path, int(name[1])) for path, name in found if name]


def _path(folder: Path, number: int) -> Path:
    return folder / f"lock-{number:06}"
