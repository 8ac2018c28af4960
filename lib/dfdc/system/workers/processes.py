"""Helpers for processes and signals."""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker, util

# Bytes of the path of a folder for sockets: a socket's own may have 103 (on Linux 107), of which names take 32.
LONGEST = 70


def worker_count(wanted: str | int, threads: int, kept: int = 0) -> int:
    """The number of worker processes of a job with ``threads`` cores: ``wanted``, or one per core for auto.

    ``kept`` cores are left to the job's own processes, as far as one worker remains.
    """
    cores = max(threads - kept, 1)
    return cores if wanted == "auto" else min(wanted, cores)


def available_cores() -> int:
    """The number of cores that this process may use: its CPU affinity, or all cores where systems have none (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Block SIGINT and SIGTERM; processes started in the block inherit the mask and never receive them.

    Ctrl-C and a scheduler's signals are sent to all processes of a job, but only the main process should handle them.
    They also inherit a folder for sockets, because they would use TMPDIR, whose path may be too long for that.
    """
    _choose_folder_of_sockets()
    # Python starts the resource tracker with the first spawned process, and unblocks the signals after that.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _choose_folder_of_sockets() -> None:
    """Processes hand each other files through sockets, and one that cannot make a socket is waited for without end."""
    before = tempfile.gettempdir()
    if len(os.fsencode(before)) > LONGEST:
        tempfile.tempdir = "/tmp"
        try:
            with contextlib.suppress(OSError):
                util.get_temp_dir()  # is made once, removed when this process ends, and known to those that it starts
        finally:
            tempfile.tempdir = before


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP (the end of a terminal session) end the block like Ctrl-C, so that it can clean up.

    Whatever the block raises after a signal is the signal's doing: libraries take it for an error of their own.
    """
    stopped = threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except Exception:
        if stopped.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_parent() -> None:
    """End this process soon after its parent has ended, for whatever reason."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
