"""Files that show which processes are alive, also to other machines that share the disk.

Such a file names its process, and a thread of the process renews its modification time, the heartbeat. Where the
process is on this machine, the system says whether it still exists. Where it is not, only the heartbeat tells.
"""

import contextlib
import errno
import fcntl
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from dfdc.system.files import is_disk_full
from dfdc.system.locks.owners import Owner
from dfdc.system.words import duration


@dataclass(frozen=True)
class Rhythm:
    """How often heartbeats are renewed, and without which age none is given up, both in seconds."""

    beat: float = 15.0
    stale: float = 120.0
    """So long that nobody is taken for dead because his disk stalls or because this machine sees files late."""


RHYTHM = Rhythm()


class Heartbeat:
    """A file that shows that this process is alive, from its creation until ``end``."""

    def __init__(self, path: Path, rhythm: Rhythm = RHYTHM, lost: Callable[[], None] = lambda: None) -> None:
        """Create the file; ``lost`` is called in another thread if somebody removes it.

        Raises FileExistsError if it exists.
        """
        self.path, self._rhythm, self._lost = path.absolute(), rhythm, lost
        self._ended = threading.Event()
        # It stays open for the kernel's lock, which is released when the process ends.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            os.write(self._file, _content(self._file).encode())
        except OSError as error:
            if not is_disk_full(error):  # if it is, the heartbeat alone has to do
                self.end()
                raise
        threading.Thread(target=self._beat, daemon=True).start()

    def end(self, renamed: Path | None = None) -> None:
        """Stop, and remove the file, or rename it."""
        if self._ended.is_set():
            return
        self._ended.set()
        with contextlib.suppress(FileNotFoundError):
            if renamed is None:
                self.path.unlink()
            else:
                self.path.rename(renamed)
        os.close(self._file)

    def _beat(self) -> None:
        while not self._ended.wait(self._rhythm.beat):
            try:
                os.utime(self.path)  # without a time, so that a server sets it by its own clock
            except FileNotFoundError:
                if not self._ended.is_set():
                    self._lost()
                return
            except OSError:  # the disk may come back
                pass


def _content(file: int) -> str:
    """What a heartbeat's file says: the process, and the file system on which it holds the kernel's lock, or 0."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        device = os.fstat(file).st_dev
    except OSError:
        device = 0
    return json.dumps({**asdict(Owner.current()), "flock": device})


@dataclass(frozen=True)
class Sign:
    """A heartbeat as it was when it was read; a file that is being written, or foreign, has no owner."""

    path: Path
    owner: Owner | None
    renewed: int
    """When the heartbeat was last renewed, in nanoseconds by the clock of the file system."""
    dead: bool | None
    """Whether the process is known to have ended; None if only the heartbeat tells."""

    @classmethod
    def read(cls, path: Path) -> "Sign | None":
        """Read a heartbeat's file; None if there is none."""
        try:
            # Network disks look for changes when a file is opened, and need not at another time.
            with path.open(errors="replace") as file:
                renewed = os.fstat(file.fileno()).st_mtime_ns
                owner, device = _parsed(file.read())
                return cls(path, owner, renewed, owner and _is_dead(owner, device, file.fileno()))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ESTALE):  # the latter if another machine removes it meanwhile
                return None
            raise

    @property
    def age(self) -> float:
        """Seconds since the heartbeat was renewed, by the clock that sets the times of files in its folder; negative if
        that clock has been put back since, or another one is ahead."""
        return (_now(self.path.parent) - self.renewed) / 1e9

    def __str__(self) -> str:
        """The process and its heartbeat in words."""
        return f"{self.owner or 'an unknown process'}, last heartbeat {duration(max(self.age, 0))} ago"


def _parsed(text: str) -> tuple[Owner | None, int]:
    try:
        content = json.loads(text)
        device = int(content.pop("flock"))
        return Owner(**content), device
    except (ValueError, TypeError, AttributeError, KeyError):
        return None, 0


def _is_dead(owner: Owner, device: int, file: int) -> bool | None:
    if owner.visible():
        return not owner.exists()
    if owner.same_kernel() and device == os.fstat(file).st_dev:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared, so that nobody who does the same is in the way
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True
    return None


def _now(folder: Path) -> int:
    """The time in nanoseconds by the clock that sets the modification times of files in a folder."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".now-") as file:
            os.utime(file.name)
            return Path(file.name).stat().st_mtime_ns
    except OSError:  # a folder in which this process may not write
        return time.time_ns()


def is_old(sign: Sign, rhythm: Rhythm = RHYTHM) -> bool:
    """Whether a heartbeat is so old that its process has probably ended."""
    return sign.age >= rhythm.stale


class Verdict(Enum):
    """Whether a process is alive."""

    ALIVE = "alive"
    DEAD = "dead"
    UNSURE = "unsure"


class Watch:
    """Judges from heartbeats whether processes are alive, and watches those it cannot see."""

    def __init__(self, rhythm: Rhythm = RHYTHM) -> None:
        """Begin to watch; a watch lasts as long as the caller goes on to ask."""
        self._rhythm = rhythm
        self._first: dict[Path, tuple[int, float]] = {}

    def judge(self, sign: Sign) -> Verdict:
        """Whether the process of a heartbeat is alive.

        A process of another machine is alive if its heartbeat is renewed while it is watched. It is dead if its
        heartbeat is old and is not renewed for two beats, or if it is not renewed for so long that it is old in any
        case: clocks of machines differ, and some file systems set times by the clock of the machine that writes.
        """
        if sign.dead is not None:
            return Verdict.DEAD if sign.dead else Verdict.ALIVE
        renewed, since = self._first.setdefault(sign.path, (sign.renewed, time.monotonic()))
        if sign.renewed != renewed:
            return Verdict.ALIVE
        watched = time.monotonic() - since
        if watched >= self._rhythm.stale or (watched >= 2 * self._rhythm.beat and is_old(sign, self._rhythm)):
            return Verdict.DEAD
        return Verdict.UNSURE
