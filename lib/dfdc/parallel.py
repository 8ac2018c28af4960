"""Work on many things in several processes, with the results in order and bounded memory."""

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

import cv2

from dfdc.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

_prepare: Callable[[], Callable[[Any], Any]]
_work: Callable[[Any], Any] | None = None


def map_in_order(
    prepare: Callable[[], Callable[[Item], Result]], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """``work(item)`` for each item, in order, where ``work = prepare()`` is made once in each process.

    ``prepare`` must be picklable (a method of a dataclass, say). One worker means this process. At most four
    items a worker are under way or wait for their turn. Each worker uses one thread of OpenCV's.
    """
    if workers <= 1:
        cv2.setNumThreads(1)
        work = prepare()
        yield from map(work, items)
        return
    context = get_context("spawn")  # a fork of a process that has threads can hang
    with ProcessPoolExecutor(workers, context, _start, (prepare,)) as pool:
        under_way: deque = deque()
        try:
            for item in items:
                with signals_held():
                    under_way.append(pool.submit(_run, item))
                if len(under_way) >= 4 * workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool as error:
            raise UserError(
                "A worker process died, most likely for lack of memory. Run again with fewer workers "
                "(speed.workers in the config, or fewer cores)."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def worker_count(wanted: str | int, threads: int) -> int:
    """The number of worker processes of a job that was given ``threads`` cores: ``wanted``, or one a core for auto."""
    return threads if wanted == "auto" else min(wanted, threads)


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back in the block; processes that are started in it never get them.

    Ctrl-C and a scheduler's signal go to all processes of a job. The first of them decides what happens then.
    """
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


def _start(prepare: Callable[[], Callable]) -> None:
    global _prepare
    end_with_parent()
    cv2.setNumThreads(1)
    _prepare = prepare


def _run(item: Any) -> Any:
    global _work
    if _work is None:
        # Not in _start: an error there would reach the caller as a process that died, without its message.
        _work = _prepare()
    return _work(item)
