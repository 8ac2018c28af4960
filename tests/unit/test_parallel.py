import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Listener
from pathlib import Path

import cv2
import psutil
import pytest

from dfdc.system.errors import UserError, VideoError
from dfdc.system.workers.pool import Kind, map_in_order, progressed, work_on
from dfdc.system.workers.processes import ended_by_signals, signals_held, worker_count


@dataclass(frozen=True)
class Work:
    """Squares numbers, but for the items that are named here. ``folder`` remembers what was begun."""

    fault: str = ""
    items: tuple[int, ...] = (3,)
    folder: Path | None = None

    def prepare(self):
        if self.fault == "prepare":
            raise UserError("the weights are missing")
        if self.fault == "no start":
            os.kill(os.getpid(), signal.SIGKILL)
        made = []

        def work(item):
            made.append(item)
            if self.folder is not None:
                (self.folder / f"{item}-{time.monotonic_ns()}").touch()
            if item in self.items:
                self.fail(item)
            return item * item, os.getpid(), len(made), cv2.getNumThreads()

        return work

    def fail(self, item):
        if self.fault == "work":
            raise VideoError(f"item {item}")
        if self.fault == "odd error":
            raise OddError(1, 2)
        if self.fault == "once" and len(list(self.folder.glob(f"{item}-*"))) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, self.fault))
        if self.fault == "exit":
            raise SystemExit(7)
        if self.fault == "hang":
            time.sleep(1000)


class OddError(Exception):
    """It cannot be made again from its arguments."""

    def __init__(self, one, two):
        super().__init__("odd")


def squares(work, items, workers, limit=None):
    """What comes of the items: squares, and reasons."""
    results = map_in_order(work.prepare, items, workers, limit, lambda item, reason: (f"{item}: {reason}",))
    return [result[0] for result in results]


@pytest.mark.parametrize("workers", [1, 2])
def test_in_order_and_little_at_a_time(workers):
    taken = []
    results = map_in_order(Work().prepare, (taken.append(n) or n for n in range(40)), workers, None, None)
    first = next(results)
    assert len(taken) <= 4 * workers
    found = [first, *results]
    assert [result[0] for result in found] == [n * n for n in range(40)]
    processes = {result[1] for result in found}
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= workers
    for process in processes:  # prepared once: the list went on growing
        counts = [result[2] for result in found if result[1] == process]
        assert counts == list(range(1, len(counts) + 1))
    assert {result[3] for result in found} == {1}


def wait_for(condition):
    """Wait for what a slow machine takes long to do, and a fault for ever."""
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass(frozen=True)
class FirstWaits:
    """The first item waits until so many were begun, and then until it is clear that no others are."""

    folder: Path
    begun: int

    def prepare(self):
        return self.work

    def work(self, item):
        (self.folder / str(item)).touch()
        if item == 0:
            wait_for(lambda: len(list(self.folder.iterdir())) >= self.begun)
            time.sleep(0.5)
        return len(list(self.folder.iterdir()))


def test_results_do_not_pile_up_behind_a_slow_item(tmp_path):
    results = list(map_in_order(FirstWaits(tmp_path, 8).prepare, range(20), 2, None, None))
    assert results[0] == 8  # four a worker
    assert len(results) == 20


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_come_through_with_their_message_at_their_place(workers):
    results = map_in_order(Work("work").prepare, range(6), workers, None, None)
    assert [next(results)[0] for _ in range(3)] == [0, 1, 4]
    with pytest.raises(VideoError, match="item 3") as caught:
        next(results)
    assert "in fail" in caught.value.__notes__[0]  # where it was raised
    with pytest.raises(UserError, match="the weights are missing"):
        squares(Work("prepare"), range(6), workers)


def test_an_error_that_cannot_be_sent():
    with pytest.raises(RuntimeError, match=r"OddError: odd"):
        squares(Work("odd error"), range(6), 2)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("SIGSEGV", "the process that worked on it crashed (signal 11, segmentation fault)"),
        ("SIGKILL", "the process that worked on it was killed (signal 9), most likely for lack of memory"),
        ("exit", "the process that worked on it ended with status 7"),
    ],
)
def test_a_worker_that_dies_takes_one_item_with_it(tmp_path, workers, fault, reason):
    expected = [n * n for n in range(9)]
    for item in (3, 8):
        expected[item] = f"{item}: {reason}"
    assert squares(Work(fault, (3, 8), tmp_path), range(9), workers) == expected
    begun = [path.name.split("-")[0] for path in sorted(tmp_path.iterdir(), key=lambda path: path.name.split("-")[1])]
    assert begun.count("3") == begun.count("8") == 2  # each had a second try
    if workers == 1:
        assert begun == list("01233456788")


def test_a_second_try_can_succeed(tmp_path):
    assert squares(Work("once", (0, 2, 3), tmp_path), range(6), 2) == [n * n for n in range(6)]
    assert len(list(tmp_path.iterdir())) == 9


@pytest.mark.parametrize("workers", [1, 2])
def test_an_item_that_takes_too_long(workers):
    expected = [0, 1, 4, "3: it made no progress for 2.5 s", 16, 25]
    assert squares(Work("hang"), range(6), workers, 2.5) == expected


@dataclass(frozen=True)
class Slow:
    """Takes long, but makes progress all the time."""

    def prepare(self):
        return self.work

    def work(self, item):
        for _ in range(3):
            time.sleep(1.05)  # progress is told once a second
            progressed()
        return item


def test_an_item_that_takes_long_but_makes_progress():
    assert list(map_in_order(Slow().prepare, [7], 1, 2.9, lambda item, reason: reason)) == [7]


@dataclass(frozen=True)
class Mortal:
    """Its worker dies while it waits for work after item 0, and the next one when it begins item 1."""

    folder: Path

    def prepare(self):
        return self.work

    def work(self, item):
        if item == 0:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()
        (self.folder / f"{item}-{os.getpid()}").touch()
        if item == 1 and len(list(self.folder.glob("1-*"))) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return item


def test_a_worker_that_dies_idle_takes_no_item_with_it(tmp_path):
    others = multiprocessing.active_children()
    results = map_in_order(Mortal(tmp_path).prepare, [0, 1, 2], 1, None, lambda item, reason: reason)
    assert next(results) == 0
    wait_for(lambda: set(multiprocessing.active_children()) <= set(others))
    assert list(results) == [1, 2]
    assert len(list(tmp_path.glob("1-*"))) == 2  # it has its second try all the same


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    """Kills the process that receives it."""

    def __reduce__(self):
        return _die, ()


def test_workers_that_die_before_they_begin_an_item_do_not_go_on_for_ever():
    results = map_in_order(Work().prepare, [Deadly()], 1, None, lambda item, reason: reason)
    assert "was killed" in next(results)


def _end_as_another_error():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        raise UserError("the weights cannot be read") from None


def _raise_another():
    raise UserError("another")


def test_a_signal_that_a_library_takes_for_an_error_ends_like_any_other():
    """As safetensors does if it comes while it calls Python."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        _end_as_another_error()
    with pytest.raises(UserError, match="another"), ended_by_signals():
        _raise_another()
    assert signal.getsignal(signal.SIGTERM) is before


def test_workers_that_cannot_start():
    with pytest.raises(UserError, match=r"could not start: it was killed .*lack of memory.*fewer workers"):
        squares(Work("no start"), range(6), 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_to_do(workers):
    assert squares(Work(), [], workers) == []


@dataclass(frozen=True)
class Parts:
    """Gives an item's numbers one by one, large enough that a pipe does not hold them."""

    folder: Path
    dies_at: tuple[int, int] = (-1, -1)

    def prepare(self):
        return self.work

    def work(self, item):
        for number in range(5):
            if (item, number) == self.dies_at:
                os.kill(os.getpid(), signal.SIGSEGV)
            (self.folder / f"{item}-{number}").touch()
            yield number, bytes(1_000_000)
        return f"end of {item}"


def test_parts_come_before_the_result_and_wait_until_they_are_taken(tmp_path):
    events = work_on(Parts(tmp_path).prepare, "abc", 1, None)
    first = next(events)
    assert (first.number, first.item, first.kind, first.value[0]) == (0, "a", Kind.PART, 0)
    assert not (tmp_path / "a-2").exists()
    told = [(event.item, event.kind, event.value) for event in events]
    assert [told[place] for place in (4, 10, 16)] == [(item, Kind.RESULT, f"end of {item}") for item in "abc"]
    assert [value[0] for item, kind, value in told if kind is Kind.PART] == [1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4]


def test_parts_of_an_item_whose_worker_dies(tmp_path):
    events = list(work_on(Parts(tmp_path, ("b", 2)).prepare, "abc", 2, 6000.0))
    of_b = [event for event in events if event.item == "b"]
    assert [event.value[0] for event in of_b[:-1]] == [0, 1, 0, 1]
    assert of_b[-1].kind is Kind.FAILURE
    assert of_b[-1].seconds < 600  # for as long as it was worked on
    assert [event.value for event in events if event.kind is Kind.RESULT] in (
        ["end of a", "end of c"],
        ["end of c", "end of a"],
    )


@dataclass(frozen=True)
class Dribble:
    """Says something now and then, for longer than the limit."""

    def prepare(self):
        return self.work

    def work(self, item):
        for _ in range(3 if item == 1 else 0):
            time.sleep(1.05)  # time is looked at once a second
            yield item


def test_parts_are_progress():
    events = [event for event in work_on(Dribble().prepare, range(3), 1, 2.9) if event.kind is not Kind.PART]
    assert [event.kind for event in events] == [Kind.RESULT] * 3
    assert 2.5 < events[1].seconds < 600


def children():
    """The processes that this one has."""
    return psutil.Process().children()


def test_nothing_is_left_of_work_that_is_not_wanted_any_more():
    before = children()
    results = map_in_order(Work("hang").prepare, range(9), 2, None, None)
    next(results)
    assert len(children()) >= len(before) + 2
    results.close()
    assert len(children()) <= len(before) + 1  # Python's own process that keeps track of resources may stay


def test_another_thread_can_end_it():
    ended = threading.Event()
    events = work_on(Work("hang").prepare, range(9), 1, None, ended)
    for number in range(3):
        assert next(events).number == number
    threading.Timer(0.2, ended.set).start()
    assert list(events) == []  # and not the fourth item, on which it would work for ever
    assert multiprocessing.active_children() == []


def open_socket(channel):
    with Listener(family="AF_UNIX") as listener:
        channel.send(listener.address)


def test_processes_can_open_sockets_however_long_the_path_of_temporary_files(tmp_path, monkeypatch):
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delitem(multiprocessing.current_process()._config, "tempdir", raising=False)  # what is known by now
    context = multiprocessing.get_context("spawn")
    channel, remote = context.Pipe()
    with signals_held():
        process = context.Process(target=open_socket, args=(remote,))
        process.start()
    remote.close()
    assert len(channel.recv()) < 100
    process.join()
    assert tempfile.gettempdir() == str(folder)  # for all else


def test_worker_count():
    assert worker_count("auto", 6) == 6
    assert worker_count(2, 6) == 2
    assert worker_count(8, 6) == 6
    assert worker_count("auto", 6, kept=2) == worker_count(8, 6, kept=2) == 4
    assert worker_count("auto", 1, kept=1) == 1


SLEEPERS = """
import os, sys, time
from dataclasses import dataclass
from dfdc.system.jobs.log import rule_log
from dfdc.system.workers.pool import map_in_order

@dataclass
class Sleeper:
    def prepare(self):
        return self.sleep

    def sleep(self, item):
        print(os.getpid(), flush=True)
        time.sleep(6000)

if __name__ == "__main__":
    with rule_log("logs/sleepers.log", "sleepers"):
        list(map_in_order(Sleeper().prepare, [1, 2], int(sys.argv[1]), None, None))
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ")[1][0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130), (signal.SIGINT, 130)])
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_end_with_their_parent(tmp_path, how, status, workers):
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, tmp_path / "sleepers.py", str(workers)]
    parent = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path, process_group=0
    )
    processes = [int(parent.stdout.readline()) for _ in range(workers)]
    assert all(map(alive, processes))
    for process in processes:
        held = int(re.search(r"SigBlk:\s*(\w+)", Path(f"/proc/{process}/status").read_text())[1], 16)
        assert held & 1 << signal.SIGINT - 1
        assert held & 1 << signal.SIGTERM - 1
    if how == signal.SIGINT:  # as a terminal does it: to all of them
        os.killpg(parent.pid, how)
    else:
        parent.send_signal(how)
    assert parent.wait(600) == status
    wait_for(lambda: not any(map(alive, processes)))
