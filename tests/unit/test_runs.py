import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dfdc.system.jobs import runs
from dfdc.system.jobs.runs import RUN, begin_run

WAIT = "input()"  # until the test says so, or ends


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working directory whose Snakemake locks are those of a killed run; the lock file is given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "_held", [])
    lock = Path(".snakemake/locks/0.output.lock")
    lock.parent.mkdir(parents=True)
    lock.write_text("results/pairs.parquet\n")
    return lock


@pytest.fixture
def started():
    """Gives a function that runs a program, after an import, until it has said that it is ready."""
    processes = []

    def start(program, **environment):
        code = f"from dfdc.system.jobs.runs import *; {program}; print(flush=True); {WAIT}"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        processes.append(subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **environment}, **pipes))
        processes[-1].stdout.readline()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_locks_of_a_dead_run_are_removed(folder, started):
    dead = started("begin_run()")
    folder.parent.mkdir(exist_ok=True)
    folder.touch()
    dead.kill()
    dead.wait()
    begin_run()
    assert not folder.exists()


@pytest.mark.parametrize("who", ["begin_run()", "begin_job()"])
def test_locks_stay_while_somebody_is_at_work(folder, started, who):
    started(f"import os; os.remove({str(folder)!r}); {who}")
    folder.touch()
    begin_run(patience=0.2)
    assert folder.exists()


def test_jobs_that_are_about_to_end_are_waited_for(folder, started):
    started("import threading; begin_job(); threading.Timer(0.5, os._exit, [0]).start()")
    begin_run(patience=60)
    assert not folder.exists()


def test_a_job_ends_with_its_run(started):
    run = started("begin_run()")
    job = started("begin_job()", **{RUN: str(run.pid)})
    time.sleep(0.7)
    assert job.poll() is None
    run.kill()
    run.wait()
    assert job.wait(timeout=60) == -signal.SIGTERM


def test_a_job_goes_on_where_its_run_cannot_be_seen(started):
    nobody = subprocess.Popen([sys.executable, "-c", ""])
    nobody.wait()
    job = started("begin_job()", **{RUN: str(nobody.pid)})
    time.sleep(0.7)
    assert job.poll() is None
