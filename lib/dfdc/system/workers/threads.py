"""Threads that work ahead of their caller.

They fit work that spends its time outside Python, where threads run at the same time, and need no time to start. Work
on files of strangers belongs into processes (``dfdc.system.workers.pool``).
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(work: Callable[[Item], Result], items: Iterable[Item], threads: int, most: int) -> Iterator[Result]:
    """Yield ``work(item)`` for each item, in order, computed by threads up to ``most`` items ahead of the caller.

    The items are taken in the caller's thread. What ``work`` raises is raised in the place of the result; when that
    happens, or the caller closes the iterator, no further item is begun.
    """
    pool = ThreadPoolExecutor(threads)
    under_way: deque[Future[Result]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) > most:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Last:
    """Put in place of another item: how the generator ended."""

    error: BaseException | None


def ahead(items: Generator[Item, Any, Any], most: int, ended: threading.Event) -> Iterator[Item]:
    """Yield the items of a generator that a thread runs: up to ``most`` items wait for the caller, and one for room.

    What the generator raises is raised here, after the items before it. If the caller closes this iterator early, or is
    interrupted, ``ended`` is set, which is to make the generator end soon, and the thread is waited for. Several of
    these may share ``ended``, if the generator of one reads from another.
    """
    ready: SimpleQueue[Item | _Last] = SimpleQueue()
    room = threading.Semaphore(most)

    def run() -> None:
        error = None
        try:
            with contextlib.closing(items):
                for item in items:
                    room.acquire()
                    if ended.is_set():
                        break
                    ready.put(item)
        except BaseException as raised:  # whatever it is, the caller has to know
            error = raised
        ready.put(_Last(error))

    thread = threading.Thread(target=run, name="ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _Last):
            room.release()
            yield item
    except BaseException:
        ended.set()
        room.release()
        raise
    finally:
        thread.join()
    if item.error is not None:
        raise item.error
