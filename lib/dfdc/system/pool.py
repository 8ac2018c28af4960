"""Work on many things in several processes, whatever happens to a process, with the results in order."""

import contextlib
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from multiprocessing import connection, get_context
from typing import Any, TypeVar

import cv2

from dfdc.system.errors import UserError
from dfdc.system.processes import end_with_parent, signals_held

Item = TypeVar("Item")
Result = TypeVar("Result")

TICK = 1.0  # seconds from one look at the clocks to the next
LACK_OF_MEMORY = "most likely for lack of memory"


def map_in_order(
    prepare: Callable[[], Callable[[Item], Result]],
    items: Iterable[Item],
    workers: int,
    limit: float | None,
    instead: Callable[[Item, str], Result],
) -> Iterator[Result]:
    """``work(item)`` for each item, in order, where ``work = prepare()`` is made once in each worker process.

    An item whose worker dies or takes longer than ``limit`` seconds has the result ``instead(item, reason)``, with the
    reason in words; the others do not notice. See ``work_on`` for the rest.
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
    """What there is to tell of an item: a part of its result, the (rest of the) result, why its worker failed at it,
    or an exception that the work raised."""

    PART = "part"
    RESULT = "result"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True)
class Event:
    """Something about the item with a number, in order from 0."""

    number: int
    item: Any
    kind: Kind
    value: Any


def work_on(
    prepare: Callable[[], Callable[[Any], Any]], items: Iterable[Any], workers: int, limit: float | None
) -> Iterator[Event]:
    """What ``workers`` processes have to tell while they work on some items, as soon as it happens.

    ``work = prepare()`` is made once in each process and called with one item at a time. If it is a generator function
    what it yields are parts, and what it returns is the result; a worker waits until its parts are taken. Every item
    has one event that is no part, its last. ``prepare`` and items must be picklable (a method of a dataclass, say).

    An item whose worker dies is tried once more, when nothing else is under way that could take up memory; its parts
    then come again. One that takes longer than ``limit`` seconds is given up; only time in which somebody waits for
    events counts. No item is begun that is four times ``workers`` or more after one that is under way. Each worker
    uses one thread of OpenCV's. Raises what ``prepare`` raises, and UserError if a worker dies in it.
    """
    left = (_Task(number, item) for number, item in enumerate(items))
    again: list[_Task] = []
    crew: list[_Worker] = []
    begun = 0
    try:
        while True:
            under_way = [worker.task for worker in crew if worker.task]
            if again and not under_way:
                _begin(crew, prepare, again.pop())
            elif not again and not any(task.died for task in under_way):
                oldest = min((task.number for task in under_way), default=begun)
                while len(under_way) < workers and begun - oldest < 4 * workers:
                    if (task := next(left, None)) is None:
                        break
                    _begin(crew, prepare, task)
                    under_way.append(task)
                    begun += 1
            busy = [worker for worker in crew if worker.task]
            if not busy:
                return
            yield from _news(crew, busy, again, limit)
    finally:
        for worker in crew:
            worker.end()


@dataclass
class _Task:
    number: int
    item: Any
    died: bool = False
    seconds: float = 0.0


class _Worker:
    """A process that works on one thing at a time."""

    def __init__(self, prepare: Callable[[], Callable[[Any], Any]]) -> None:
        context = get_context("spawn")  # a fork of a process that has threads can hang
        self.channel, others_end = context.Pipe()
        self.process = context.Process(target=_serve, args=(others_end, prepare), daemon=True)
        with signals_held():
            self.process.start()
        others_end.close()  # or the end of the process would not be seen
        self.prepared = False
        self.task: _Task | None = None

    def begin(self, task: _Task) -> None:
        self.task, task.seconds = task, 0.0
        with contextlib.suppress(OSError):  # it has died: that will be noticed by what it has to tell
            self.channel.send(task.item)

    def end(self, patience: float = 0.0) -> str:
        """End the process, after a while in which it may end by itself, and say in words how it did."""
        self.process.join(patience)
        self.process.kill()
        self.process.join(5)  # a process that waits for a broken disk may stay longer
        self.channel.close()
        return _how_it_ended(self.process.exitcode)


def _begin(crew: list[_Worker], prepare: Callable[[], Callable[[Any], Any]], task: _Task) -> None:
    """Let an idle worker begin a task, or a new one."""
    idle = next((worker for worker in crew if worker.task is None), None)
    if idle is None:
        idle = _Worker(prepare)
        crew.append(idle)
    idle.begin(task)


def _news(crew: list[_Worker], busy: list[_Worker], again: list[_Task], limit: float | None) -> Iterator[Event]:
    """Wait a while and give what there is to tell. Workers that die or are given up leave the crew."""
    before = time.monotonic()
    telling = connection.wait([worker.channel for worker in busy], TICK)
    # Not much more than a tick, however long this process was stopped.
    passed = min(time.monotonic() - before, 2 * TICK)
    for worker in busy:
        task = worker.task
        task.seconds += passed if worker.prepared else 0.0
        late = limit is not None and task.seconds > limit
        if worker.channel in telling:
            try:
                message = worker.channel.recv()
            except (EOFError, OSError):
                crew.remove(worker)
                yield from _died(worker, again)
                continue
            if not worker.prepared:
                worker.prepared = True
                if message is not None:
                    raise message
                continue
            kind, value = message
            if kind is not Kind.PART:
                worker.task = None
            if worker.task is None or not late:
                yield Event(task.number, task.item, kind, value)
                continue
        if late:
            crew.remove(worker)
            worker.end()
            yield Event(task.number, task.item, Kind.FAILURE, f"it took longer than {limit:g} s")


def _died(worker: _Worker, again: list[_Task]) -> Iterator[Event]:
    """What there is to tell of a worker that died: nothing, if its task is to be tried again."""
    how, task = worker.end(patience=2), worker.task
    if not worker.prepared:
        raise UserError(
            f"A worker process could not start: it {how}. Run again with fewer workers (speed.workers in the config, "
            "or fewer cores)."
        )
    if task.died:
        yield Event(task.number, task.item, Kind.FAILURE, f"the process that worked on it {how}")
    else:
        task.died = True
        again.append(task)


def _how_it_ended(status: int | None) -> str:
    if status == -signal.SIGKILL:
        return f"was killed (signal {-status}), {LACK_OF_MEMORY}"
    if status is not None and status < 0:
        return f"crashed (signal {-status}, {(signal.strsignal(-status) or 'unknown').lower()})"
    return f"ended with status {status}"


def _serve(channel: connection.Connection, prepare: Callable[[], Callable[[Any], Any]]) -> None:
    """What a worker process does: tell whether it is prepared, then work on what comes until nobody is there."""
    end_with_parent()
    cv2.setNumThreads(1)
    try:
        work = prepare()
    except Exception as error:
        channel.send(_picklable(error))
        return
    channel.send(None)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            item = channel.recv()
            try:
                value = work(item)
                if isinstance(value, Generator):
                    value = _send_parts(channel, value)
                kind = Kind.RESULT
            except Exception as error:
                kind, value = Kind.ERROR, _picklable(error)
            channel.send((kind, value))


def _send_parts(channel: connection.Connection, parts: Generator[Any, None, Any]) -> Any:
    """Send what a generator yields, and give what it returns."""
    while True:
        try:
            part = next(parts)
        except StopIteration as stop:
            return stop.value
        channel.send((Kind.PART, part))


def _picklable(error: Exception) -> Exception:
    """An exception that can be sent, with its traceback as a note."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
