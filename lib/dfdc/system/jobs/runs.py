"""Runs that were killed: their jobs end too, and what they locked is free for the next run.

Snakemake locks what a run reads and writes by files in the working directory, and takes them away when it ends. One
that is killed (SIGKILL, lack of memory, a power cut) leaves them behind, and the next one would refuse to start. So
every run and every job also holds a lock of the kernel's, which goes with the process: where nobody holds it,
Snakemake's locks are those of the dead.
"""

import contextlib
import fcntl
import os
import signal
import threading
import time
from pathlib import Path
from typing import IO

STATE = Path(".snakemake")
RUN = "DFDC_RUN"  # the environment variable in which every Snakemake tells its jobs which process it is

_held: list[IO[str]] = []


def begin_run(patience: float = 10.0) -> None:
    """Take part in the work in this directory as a run, and remove the locks that a killed run left.

    For its jobs, which notice within a second, it is waited up to ``patience`` seconds. Nothing is removed while
    another run, or a job of one that did not end, is at work here: Snakemake itself then says what can be done. That
    holds for other machines, too, if they share the disk with its locks; on a disk without locks nothing is removed.
    """
    left = list(STATE.glob("locks/*.lock"))
    with _opened("runs") as runs, _opened("jobs") as jobs:
        if left and _alone(runs, 0) and _alone(jobs, patience):
            for lock in left:
                lock.unlink(missing_ok=True)
    _take_part("runs")


def begin_job() -> None:
    """Take part in the work in this directory as a job, which ends as SIGTERM ends it when its run is no more."""
    _take_part("jobs")
    parent = os.getppid()
    # Between the two may be a shell. Where the run cannot be seen, as from within some containers, the parent counts.
    named = int(os.environ.get(RUN, parent))
    run = named if _exists(named) else parent

    def watch() -> None:
        while os.getppid() == parent and _exists(run):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _opened(name: str) -> IO[str]:
    STATE.mkdir(exist_ok=True)
    return (STATE / f"{name}.alive").open("a")


def _take_part(name: str) -> None:
    """Hold a lock together with all others who do, for as long as this process lives."""
    file = _opened(name)
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH)
    _held.append(file)


def _alone(file: IO[str], patience: float) -> bool:
    """Take a lock that nobody else holds, waiting up to ``patience`` seconds for it; whether that was possible."""
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.1)
        except OSError:  # a disk without locks
            return False


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
