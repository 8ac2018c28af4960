"""Processes of their own that work with locks, also such that look as if they ran on another machine."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from dfdc.system.jobs.provenance import LIBRARY

# A machine of its own, on a disk where flock succeeds and tells other machines nothing.
ELSEWHERE = """
import fcntl, socket
from dfdc.system.locks import owners
socket.gethostname = lambda: "node7"
owners._boot = lambda: "another boot"
fcntl.flock = lambda *_: None
"""
LOCK = """
import sys
from pathlib import Path
from dfdc.system.locks.exclusive import LockLost, LockTaken, locked
from dfdc.system.locks.heartbeats import Rhythm
folder, rhythm = Path(sys.argv[1]), Rhythm(float(sys.argv[2]), float(sys.argv[3]))
"""
HOLD = "with locked(folder, rhythm=rhythm): print('in', flush=True); input()"


def python(program: str, *arguments: object, **environment: str) -> subprocess.Popen:
    """A process that runs a program with this library, with pipes to it and from it."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(LIBRARY.parent), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def written(path: Path, age: float = 0.0, **about: object) -> Path:
    """A heartbeat's file as a process of another machine would leave it, of so many seconds of age."""
    owner = {"host": "node7", "boot": "another boot", "namespace": 1, "process": 41, "started": 5, "flock": 0}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(owner | about))
    aged(path, age)
    return path


def aged(path: Path, age: float) -> None:
    """Set a heartbeat's age in seconds."""
    os.utime(path, (time.time() - age,) * 2)


@contextlib.contextmanager
def renewing(path: Path, age: float = 0.0) -> Iterator[None]:
    """During the block a heartbeat is renewed many times a second, by a clock that is behind by so many seconds."""
    ended = threading.Event()

    def renew() -> None:
        with contextlib.suppress(FileNotFoundError):
            while not ended.wait(0.05):
                aged(path, age)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def wait_for_tick(folder: Path) -> None:
    """Wait until what changes in a folder gets another time than what has changed, however coarse the clock of its file
    system is.
    """
    probe = folder / ".tick"
    probe.touch()
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        time.sleep(0.002)
        probe.touch()
    probe.unlink()


HERE = socket.gethostname()
