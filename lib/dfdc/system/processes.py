"""Processes and signals."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker


def worker_count(wanted: str | int, threads: int) -> int:
    """The number of worker processes of a job that was given ``threads`` cores: ``wanted``, or one a core for auto."""
    return threads if wanted == "auto" else min(wanted, threads)


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back in the block; processes that are started in it never get them.

    Ctrl-C and a scheduler's signal go to all processes of a job. The first of them decides what happens then.
    """
    # Python starts this helper with the first process of its kind, and lets the signals through again after that.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """End this process soon after its parent has ended, however that ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
