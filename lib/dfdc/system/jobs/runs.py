"""Recovery from killed runs: their jobs end too, and their locks are removed by the next run.

Snakemake creates lock files in the working directory and removes them when it ends. A run that is killed (SIGKILL, out
of memory, power failure) leaves them behind, and the next run would refuse to start. So every run and every job also
has a file with a heartbeat: if none of them is alive, on any machine, Snakemake's lock files are stale.
"""

import atexit
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dfdc.system.errors import UserError
from dfdc.system.files import write_text
from dfdc.system.locks.exclusive import LockTaken, locked
from dfdc.system.locks.heartbeats import RHYTHM, Heartbeat, Rhythm, Sign, Verdict, Watch, is_old
from dfdc.system.locks.owners import Owner
from dfdc.system.words import duration, printable, some

STATE = Path(".snakemake")
ALIVE = STATE / "alive"
RUN = "DFDC_RUN"  # environment variable with the Owner that is Snakemake, for its jobs
DAY = 24 * 3600
ROOM = 100_000  # bytes that Snakemake's records of a run need at least


@dataclass(frozen=True)
class Member:
    """A run or a job in the working directory."""

    kind: str
    """``run`` or ``job``."""
    sign: Sign

    def __str__(self) -> str:
        """The process and its heartbeat in words."""
        return f"a {self.kind} ({self.sign})"


def begin_run(log: logging.Logger, patience: float = 10.0, rhythm: Rhythm = RHYTHM) -> None:
    """Register this process as a run in the working directory, and remove the lock files of a killed run.

    Waits up to ``patience`` seconds for the killed run's jobs to end, which takes them about a second. Nothing is
    removed while another run or one of its jobs is active here, on any machine. If Snakemake then finds its own locks
    in the way, ``log``, its logger, says who is active, and not how to unlock.

    If the disk is full the process ends here, with a message, before Snakemake deletes the old output of any job.
    """
    _check_room(log)
    try:
        ALIVE.mkdir(parents=True, exist_ok=True)
        (ALIVE / "writable").touch()
        (ALIVE / "writable").unlink(missing_ok=True)
    except OSError as error:
        log.error(
            f"The folder {Path.cwd()} cannot be written ({error.strerror}). Snakemake keeps its records there, even "
            "of a dry run. Run it in a folder of your own (--directory)."
        )
        sys.exit(1)
    left = list(STATE.glob("locks/*.lock"))
    try:
        with locked(ALIVE, patience, rhythm):  # of several runs that begin, one removes the locks and is seen by others
            _register("run", rhythm)
            _tidy()
            left = list(STATE.glob("locks/*.lock"))
            others = _wait(patience, rhythm, log) if left else []
            for lock in [] if others else left:
                lock.unlink(missing_ok=True)
    except LockTaken:
        _register("run", rhythm)
        others = active(rhythm)
    if left and others:
        _explain(others, rhythm, log)


def _check_room(log: logging.Logger) -> None:
    room = STATE / "room"
    try:
        with contextlib.suppress(OSError):  # in a folder that cannot be written, which is enough for a dry run
            write_text(room, " " * ROOM)
            room.unlink(missing_ok=True)
    except UserError as error:
        log.error(str(error))
        sys.exit(1)


def end_with_message(log: logging.Logger, error: Exception) -> None:
    """End this process with a message. (A WorkflowError would point to the Snakefile instead of the mistake.)"""
    log.error(printable(str(error)))
    sys.exit(1)


def begin_job(rhythm: Rhythm = RHYTHM) -> None:
    """Register this process as a job in the working directory, and send it SIGTERM when its run ends."""
    ALIVE.mkdir(parents=True, exist_ok=True)
    _register("job", rhythm)
    parent = os.getppid()
    # The parent may be a shell, not the run. It is used if the run is not visible, as in some containers.
    run = Owner.parse(os.environ.get(RUN, ""))
    visible = run if run and run.visible() and run.exists() else None

    def watch() -> None:
        while os.getppid() == parent and (visible is None or visible.exists()):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def active(rhythm: Rhythm = RHYTHM) -> list[Member]:
    """The runs and jobs in the working directory, other than this process, that exist or have a recent heartbeat."""
    signs = ((member, member.sign) for member in _others())
    return [member for member, sign in signs if not (is_old(sign, rhythm) if sign.dead is None else sign.dead)]


def _register(kind: str, rhythm: Rhythm) -> None:
    """Show for the lifetime of this process that it is alive."""
    process = os.getpid()
    name = f"{socket.gethostname()}-{process}-{secrets.token_hex(4)}.{kind}"
    heartbeat = Heartbeat(ALIVE / name, rhythm)

    def end() -> None:
        if os.getpid() == process:  # not in a fork
            with contextlib.suppress(OSError):
                heartbeat.end()

    atexit.register(end)


def _others() -> Iterator[Member]:
    """The other runs and jobs that have left a file."""
    own = Owner.current()
    for path in ALIVE.iterdir() if ALIVE.exists() else []:  # not glob, which takes a faulty disk for an empty folder
        kind = path.suffix.removeprefix(".")
        sign = Sign.read(path) if kind in ("run", "job") else None
        if sign is not None and sign.owner != own:
            yield Member(kind, sign)


def _tidy() -> None:
    """Remove the files of processes that have ended; those of other machines after a day, until which they may come
    back."""
    for member in _others():
        sign = member.sign
        if sign.dead or (sign.dead is None and time.time() - sign.renewed / 1e9 > DAY):
            with contextlib.suppress(OSError):  # another user's
                sign.path.unlink()


def _wait(patience: float, rhythm: Rhythm, log: logging.Logger) -> list[Member]:
    """Wait for runs and jobs that are about to end; return those that go on.

    A run that is alive is not waited for, and processes of other machines whose heartbeats are old, or of the future,
    are watched until it is certain that they are not renewed.
    """
    watch, end, told = Watch(rhythm), time.monotonic() + patience, False
    while True:
        judged = [(member, watch.judge(member.sign)) for member in _others()]
        others = [(member, verdict) for member, verdict in judged if verdict is not Verdict.DEAD]
        found = [member for member, _ in others]
        goes_on = any(member.kind == "run" and verdict is Verdict.ALIVE for member, verdict in others)
        # Also those of the future: the clock has been put back.
        far = [abs(member.sign.age) >= rhythm.stale for member in found]
        watched = all(far) and all(verdict is Verdict.UNSURE for _, verdict in others)
        if not found or goes_on or (time.monotonic() >= end and not watched):
            return found
        if not told and any(verdict is Verdict.UNSURE for _, verdict in others):
            log.info(f"Waiting to see whether somebody is still active here: {some(map(str, found))}")
            told = True
        time.sleep(0.1)


def _explain(others: Sequence[Member], rhythm: Rhythm, log: logging.Logger) -> None:
    """Replace Snakemake's message that it cannot lock the working directory."""
    others = sorted(others, key=lambda member: (member.kind != "run", str(member)))  # folders have no order
    message = (
        f"{Path.cwd()} is in use by {some(map(str, others))}. Nothing was changed, and Snakemake's locks were not "
        "removed. Wait until this has ended, or stop it, then run again. If its machine has failed, run again "
        f"{duration(rhythm.stale)} after the last heartbeat: then the locks are removed. Do not use --unlock before."
    )

    def replace(record: logging.LogRecord) -> bool:
        if getattr(record, "exception", None) == "LockException":
            record.msg = message
        return True

    log.addFilter(replace)
