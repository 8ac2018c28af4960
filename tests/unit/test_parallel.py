import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

from dfdc.errors import UserError, VideoError
from dfdc.parallel import map_in_order, worker_count


@dataclass(frozen=True)
class Work:
    fault: str = ""

    def prepare(self):
        if self.fault == "prepare":
            raise UserError("the weights are missing")
        made = []

        def work(item):
            made.append(item)
            if self.fault == "work" and item == 3:
                raise VideoError("item three")
            if self.fault == "die" and item == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return item * item, os.getpid(), len(made), cv2.getNumThreads()

        return work


def test_one_worker_is_this_process_and_lazy():
    taken = []
    results = map_in_order(Work().prepare, (taken.append(n) or n for n in range(9)), 1)
    assert next(results)[:3] == (0, os.getpid(), 1)
    assert taken == [0]
    assert [result[0] for result in results] == [n * n for n in range(1, 9)]


def test_two_workers_keep_the_order_and_hold_little():
    taken = []
    results = map_in_order(Work().prepare, (taken.append(n) or n for n in range(40)), 2)
    first = next(results)
    assert len(taken) <= 8  # four a worker
    found = [first, *results]
    assert [result[0] for result in found] == [n * n for n in range(40)]
    processes = {result[1] for result in found}
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= 2
    for process in processes:  # prepared once: the list went on growing
        counts = [result[2] for result in found if result[1] == process]
        assert counts == list(range(1, len(counts) + 1))
    assert {result[3] for result in found} == {1}


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_come_through_with_their_message(workers):
    results = map_in_order(Work("work").prepare, range(6), workers)
    assert [next(results)[0] for _ in range(3)] == [0, 1, 4]
    with pytest.raises(VideoError, match="item three"):
        next(results)
    with pytest.raises(UserError, match="the weights are missing"):
        list(map_in_order(Work("prepare").prepare, range(6), workers))


def test_a_worker_that_dies_is_explained():
    with pytest.raises(UserError, match=r"worker process died.*fewer workers"):
        list(map_in_order(Work("die").prepare, range(6), 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_to_do(workers):
    assert list(map_in_order(Work().prepare, [], workers)) == []


def test_worker_count():
    assert worker_count("auto", 6) == 6
    assert worker_count(2, 6) == 2
    assert worker_count(8, 6) == 6


SLEEPERS = """
import os, sys, time
from dataclasses import dataclass
from dfdc.parallel import map_in_order

@dataclass
class Sleeper:
    def prepare(self):
        return self.sleep

    def sleep(self, item):
        print(os.getpid(), flush=True)
        time.sleep(60)

if __name__ == "__main__":
    list(map_in_order(Sleeper().prepare, [1, 2], 2))
"""


def alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(") ")[1][0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "sleepers.py"], stdout=subprocess.PIPE, text=True, env=environment
    )
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    assert all(map(alive, workers))
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 15
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, workers))
