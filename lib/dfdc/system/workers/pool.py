"""A process pool that survives crashes and timeouts of its workers, with results in order."""

import contextlib
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from multiprocessing import connection, get_context
from typing import Any, TypeVar

import cv2

from dfdc.system.errors import UserError
from dfdc.system.workers.confinement import confine
from dfdc.system.workers.processes import end_with_parent, signals_held

Item = TypeVar("Item")
Result = TypeVar("Result")

TICK = 1.0  # seconds between two checks of the time limit
PATIENCE = 3  # how many workers may die before they begin an item, until that counts as the item's fault
LACK_OF_MEMORY = "most likely for lack of memory"


def map_in_order(
    prepare: Callable[[], Callable[[Item], Result]],
    items: Iterable[Item],
    workers: int,
    limit: float | None,
    instead: Callable[[Item, str], Result],
) -> Iterator[Result]:
    """Yield ``work(item)`` for each item, in order; ``work = prepare()`` is called once in each worker process.

    If the worker dies or makes no progress for ``limit`` seconds, the item's result is ``instead(item, reason)``; other
    items are not affected. See ``work_on`` for the rest.
    """
    due, early = 0, {}
    with contextlib.closing(work_on(prepare, items, workers, limit)) as events:
        for event in events:
            early[event.number] = event
            while due in early:
                event = early.pop(due)
                due += 1
                if event.kind is Kind.ERROR:
                    raise event.value
                yield instead(event.item, event.value) if event.kind is Kind.FAILURE else event.value


class Kind(Enum):
    """The kind of an event: part of a result, the (rest of the) result, the reason why the worker failed, or an
    exception raised by the work. Two kinds only pass from worker to pool: that work begins, and that it makes progress.
    """

    BEGIN = "begin"
    PROGRESS = "progress"
    PART = "part"
    RESULT = "result"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True)
class Event:
    """An event of an item; items are numbered from 0. ``seconds``: for how long it has been worked on."""

    number: int
    item: Any
    kind: Kind
    value: Any
    seconds: float


def work_on(
    prepare: Callable[[], Callable[[Any], Any]],
    items: Iterable[Any],
    workers: int,
    limit: float | None,
    ended: threading.Event | None = None,
) -> Iterator[Event]:
    """Yield events from ``workers`` processes that work on the items, as they occur.

    ``work = prepare()`` is called once in each process, and ``work`` with one item at a time. If it is a generator
    function, the yielded values are parts and the return value is the result; a worker blocks until its parts are
    consumed. The last event of every item is its only one that is not a part. ``prepare`` and the items must be
    picklable (for example, a method of a dataclass).

    An item whose worker dies is retried once, alone, in case memory ran out; its parts are then sent again. An item
    that makes no progress for ``limit`` seconds fails: neither a part nor a call of ``progressed``; only time during
    which the caller waits for events counts. No item is started that is ``4 * workers`` or more after one that is in
    progress. Each worker uses one OpenCV thread, and is confined (``dfdc.system.workers.confinement``) once it is
    prepared. Soon after ``ended`` is set, by another thread, the events end. Raises what ``prepare`` raises, and
    UserError if a worker dies in it.
    """
    tasks = (_Task(number, item) for number, item in enumerate(items))
    retries: list[_Task] = []
    pool: list[_Worker] = []
    started = 0
    try:
        while not (ended and ended.is_set()):
            running = [worker.task for worker in pool if worker.task]
            if retries and not running:
                _begin(pool, prepare, retries.pop())
            elif not retries and not any(task.died for task in running):
                oldest = min((task.number for task in running), default=started)
                while len(running) < workers and started - oldest < 4 * workers:
                    if (task := next(tasks, None)) is None:
                        break
                    _begin(pool, prepare, task)
                    running.append(task)
                    started += 1
            busy = [worker for worker in pool if worker.task]
            if not busy:
                return
            yield from _events(pool, busy, retries, limit)
    finally:
        for worker in pool:
            worker.end()


@dataclass
class _Task:
    number: int
    item: Any
    begun: bool = False  # by its present worker
    lost: int = 0  # how many workers died before they began it
    died: bool = False
    seconds: float = 0.0
    waited: float = 0.0  # seconds since it last made progress

    def event(self, kind: Kind, value: Any) -> Event:
        return Event(self.number, self.item, kind, value, self.seconds)


class _Worker:
    """A process that works on one task at a time."""

    def __init__(self, prepare: Callable[[], Callable[[Any], Any]]) -> None:
        context = get_context("spawn")  # forking a process with threads can deadlock
        self.channel, remote = context.Pipe()
        self.process = context.Process(target=_serve, args=(remote, prepare), daemon=True)
        with signals_held():
            self.process.start()
        remote.close()  # else the end of the process would not be noticed
        self.prepared = False
        self.task: _Task | None = None

    def begin(self, task: _Task) -> None:
        self.task = task
        task.begun, task.seconds, task.waited = False, 0.0, 0.0
        with contextlib.suppress(OSError):  # the process has died, which is noticed when reading from the channel
            self.channel.send(task.item)

    def end(self, patience: float = 0.0) -> str:
        """Kill the process if it does not end by itself within ``patience`` seconds; describe how it ended."""
        self.process.join(patience)
        self.process.kill()
        self.process.join(5)  # a process that is blocked by a broken disk may take longer
        self.channel.close()
        return _how_it_ended(self.process.exitcode)


def _begin(pool: list[_Worker], prepare: Callable[[], Callable[[Any], Any]], task: _Task) -> None:
    """Assign a task to an idle worker, or to a new one if there is none."""
    idle = next((worker for worker in pool if worker.task is None), None)
    if idle is None:
        idle = _Worker(prepare)
        pool.append(idle)
    idle.begin(task)


def _events(pool: list[_Worker], busy: list[_Worker], retries: list[_Task], limit: float | None) -> Iterator[Event]:
    """Wait up to a tick and yield the events. Workers that die or exceed the limit are removed from the pool."""
    before = time.monotonic()
    ready = connection.wait([worker.channel for worker in busy], TICK)
    # Capped, so that time during which this process was suspended does not count.
    passed = min(time.monotonic() - before, 2 * TICK)
    for worker in busy:
        task = worker.task
        if worker.prepared:
            task.seconds += passed
            task.waited += passed
        late = limit is not None and task.waited > limit
        if worker.channel in ready:
            try:
                message = worker.channel.recv()
            except (EOFError, OSError):
                pool.remove(worker)
                yield from _died(worker, retries)
                continue
            if not worker.prepared:
                worker.prepared = True
                if message is not None:
                    raise message
                continue
            kind, value = message
            task.begun, task.waited = True, 0.0
            if kind in (Kind.BEGIN, Kind.PROGRESS):
                continue
            if kind is not Kind.PART:
                worker.task = None
            yield task.event(kind, value)
            continue
        if late:
            pool.remove(worker)
            worker.end()
            yield task.event(Kind.FAILURE, f"it made no progress for {limit:g} s")


def _died(worker: _Worker, retries: list[_Task]) -> Iterator[Event]:
    """The event of a worker that died: none if its task will be retried."""
    how, task = worker.end(patience=2), worker.task
    if not worker.prepared:
        raise UserError(
            f"A worker process could not start: it {how}. Run again with fewer workers (speed.workers in the config, "
            "or fewer cores)."
        )
    if not task.begun and task.lost < PATIENCE:  # it died before, perhaps while it waited for work
        task.lost += 1
        retries.append(task)
    elif task.died:
        yield task.event(Kind.FAILURE, f"the process that worked on it {how}")
    else:
        task.died = True
        retries.append(task)


def _how_it_ended(status: int | None) -> str:
    if status == -signal.SIGKILL:
        return f"was killed (signal {-status}), {LACK_OF_MEMORY}"
    if status is not None and status < 0:
        return f"crashed (signal {-status}, {(signal.strsignal(-status) or 'unknown').lower()})"
    return f"ended with status {status}"


def _serve(channel: connection.Connection, prepare: Callable[[], Callable[[Any], Any]]) -> None:
    """The main loop of a worker process: report whether ``prepare`` succeeded, then work until the channel closes."""
    global _pool
    _pool = _Pool(channel)
    end_with_parent()
    cv2.setNumThreads(1)
    try:
        work = prepare()
        confine()
    except Exception as error:
        channel.send(_picklable(error))
        return
    channel.send(None)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            item = channel.recv()
            channel.send((Kind.BEGIN, None))
            try:
                value = work(item)
                if isinstance(value, Generator):
                    value = _send_parts(channel, value)
                kind = Kind.RESULT
            except Exception as error:
                kind, value = Kind.ERROR, _picklable(error)
            channel.send((kind, value))


class _Pool:
    """The pool, seen from a worker process."""

    def __init__(self, channel: connection.Connection) -> None:
        self._channel, self._told = channel, time.monotonic()

    def tell(self) -> None:
        if time.monotonic() - self._told > TICK:
            self._channel.send((Kind.PROGRESS, None))
            self._told = time.monotonic()


_pool: _Pool | None = None


def progressed() -> None:
    """Tell the pool that work on the current item makes progress; may be called often. Does nothing elsewhere."""
    if _pool is not None:
        _pool.tell()


def _send_parts(channel: connection.Connection, parts: Generator[Any, None, Any]) -> Any:
    """Send the values that a generator yields, and return its return value."""
    while True:
        try:
            part = next(parts)
        except StopIteration as stop:
            return stop.value
        channel.send((Kind.PART, part))


def _picklable(error: Exception) -> Exception:
    """A picklable version of an exception, with its traceback as a note."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
