"""Recovery from killed runs: their jobs end too, and their locks are removed by the next run.

Snakemake creates lock files in the working directory and removes them when it ends. A run that is killed (SIGKILL, out
of memory, power failure) leaves them behind, and the next run would refuse to start. So every run and every job also
holds a kernel lock (flock), which is released when the process ends: if nobody holds it, Snakemake's lock files are
stale.
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
RUN = "DFDC_RUN"  # environment variable with the process id of Snakemake, for its jobs

_held: list[IO[str]] = []


def begin_run(patience: float = 10.0) -> None:
    """Register this process as a run in the working directory, and remove the lock files of a killed run.

    Waits up to ``patience`` seconds for the killed run's jobs to end, which takes them about a second. Nothing is
    removed while another run or one of its jobs is active here; Snakemake itself then reports the lock. This also works
    across machines if the file system supports flock; if it does not, nothing is removed.
    """
    left = list(STATE.glob("locks/*.lock"))
    with _opened("runs") as runs, _opened("jobs") as jobs:
        if left and _alone(runs, 0) and _alone(jobs, patience):
            for lock in left:
                lock.unlink(missing_ok=True)
    _take_part("runs")


def begin_job() -> None:
    """Register this process as a job in the working directory, and send it SIGTERM when its run ends."""
    _take_part("jobs")
    parent = os.getppid()
    # The parent may be a shell, not the run. It is used if the run is not visible, as in some containers.
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
    """Hold a shared lock for the lifetime of this process."""
    file = _opened(name)
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH)
    _held.append(file)


def _alone(file: IO[str], patience: float) -> bool:
    """Try for up to ``patience`` seconds to take an exclusive lock; return whether that succeeded."""
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.1)
        except OSError:  # a file system without flock
            return False


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process
        return True
    return True
