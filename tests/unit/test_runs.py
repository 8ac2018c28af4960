import logging
import signal
import time
from pathlib import Path

import pytest

from dfdc.system.jobs.runs import ALIVE, RUN, active, begin_run
from dfdc.system.locks.heartbeats import Rhythm
from dfdc.system.locks.owners import Owner
from nodes import ELSEWHERE, HERE, python, renewing, written

# Old after a second; and such that nobody grows old during a test.
FAST, CAREFUL = Rhythm(0.1, 1.0), Rhythm(0.1, 60.0)
BEGIN = {
    "run": "begin_run(logging.getLogger())",
    "job": "begin_job()",
}


@pytest.fixture(autouse=True)
def lock(tmp_path, monkeypatch):
    """A working directory with the Snakemake lock of a killed run, which is given."""
    monkeypatch.chdir(tmp_path)
    lock = Path(".snakemake/locks/0.output.lock")
    lock.parent.mkdir(parents=True)
    lock.touch()
    return lock


@pytest.fixture
def log():
    """A logger as Snakemake's, of this test alone."""
    return logging.Logger("snakemake")


@pytest.fixture
def started(started):
    """The same for a program after an import, which ends by saying that it is ready."""

    def start(program, before="", **environment):
        code = f"{before}\nimport logging\nfrom dfdc.system.jobs.runs import *\n{program}\nprint(flush=True); input()"
        return started(code, **environment)

    return start


def message(log):
    """What the user is told when Snakemake finds that the directory is locked."""
    record = logging.LogRecord("snakemake", logging.ERROR, "", 0, "rerun with --unlock", (), None)
    record.exception = "LockException"
    assert log.filter(record)
    return record.getMessage()


@pytest.mark.parametrize("who", BEGIN)
def test_locks_of_the_dead_are_removed(lock, log, started, who):
    dead = started(BEGIN[who])
    lock.parent.mkdir(exist_ok=True)
    lock.touch()
    dead.kill()
    dead.wait()
    begin_run(log)
    assert not lock.exists()
    assert len(list(ALIVE.glob("*.*"))) == 2  # this run, and the lock, which is free
    assert message(log) == "rerun with --unlock"


@pytest.mark.parametrize("who", BEGIN)
def test_locks_stay_while_somebody_is_at_work(lock, log, started, who):
    other = started(BEGIN[who])
    lock.touch()
    begin_run(log, patience=0.2)
    assert lock.exists()
    assert f" is in use by a {who} (process {other.pid} on {HERE}, last heartbeat " in message(log)


@pytest.mark.parametrize("who", BEGIN)
def test_locks_stay_while_somebody_is_at_work_on_another_machine(lock, log, started, who):
    other = started(BEGIN[who], ELSEWHERE)
    lock.touch()
    begin_run(log, patience=0.2, rhythm=CAREFUL)
    assert lock.exists()
    found = message(log)
    assert f"{Path.cwd()} is in use by a {who} (process {other.pid} on node7, last heartbeat " in found
    assert "run again 1 min 0 s after the last heartbeat" in found


@pytest.mark.parametrize("who", BEGIN)
def test_locks_of_another_machine_stay_until_its_heartbeats_are_old(lock, log, who):
    """It may have failed; or the disk has, between it and this machine."""
    path = written(ALIVE / f"node7.{who}", age=30)
    begin_run(log, patience=0.2, rhythm=CAREFUL)
    assert lock.exists()
    assert f"a {who} (process 41 on node7, last heartbeat 3" in message(log)
    written(path, age=61)
    begin_run(log, patience=0, rhythm=CAREFUL)
    assert not lock.exists()
    assert path.exists()  # should it wake up, it is still seen
    written(path, age=2 * 24 * 3600)
    begin_run(log)
    assert not path.exists()


def test_a_heartbeat_of_the_future_keeps_no_locks(lock, log):
    """The clock has been put back since that machine failed."""
    written(ALIVE / "node7.run", age=-7200)
    begin_run(log, patience=0, rhythm=Rhythm(0.2, 1.0))
    assert not lock.exists()


def test_an_old_heartbeat_that_is_renewed_keeps_the_locks(lock, log):
    """By the clock of that machine its heartbeats are old."""
    with renewing(written(ALIVE / "node7.run", age=3600), age=3600):
        begin_run(log, patience=0, rhythm=Rhythm(5.0, 60.0))
    assert lock.exists()
    assert "process 41 on node7" in message(log)


def test_jobs_that_are_about_to_end_are_waited_for(lock, log, started):
    started("import os\nbegin_job(); threading.Timer(0.5, os._exit, [0]).start()")
    begin_run(log, patience=600)
    assert not lock.exists()


def test_of_runs_that_begin_at_once_one_removes_the_locks(lock, log, started):
    """The other is not told that the directory is locked, because it is not any more."""
    program = "import sys, time\nwhile not Path('go').exists(): pass\n" + BEGIN["run"]
    program = f"print(flush=True)\n{program}\nprint(Path({str(lock)!r}).exists(), flush=True); input()\n"
    others = [started(program) for _ in range(4)]
    Path("go").touch()
    assert [other.stdout.readline().strip() for other in others] == ["False"] * 4


def test_who_is_active(started):
    assert active() == []
    job = started(BEGIN["job"])
    written(ALIVE / "node7.run", age=5)
    written(ALIVE / "node8.run", age=3600)
    assert {str(member).partition(",")[0] for member in active()} == {
        "a run (process 41 on node7",
        f"a job (process {job.pid} on {HERE}",
    }
    job.communicate("\n")
    assert [member.kind for member in active()] == ["run"]


def test_a_job_ends_with_its_run(started):
    run = started(f"{BEGIN['run']}; print(Owner.current().text())")
    job = started(BEGIN["job"], **{RUN: run.said})
    time.sleep(0.7)
    assert job.poll() is None
    run.kill()
    run.wait()
    assert job.wait(timeout=600) == -signal.SIGTERM


@pytest.mark.parametrize("differs", [{"boot": "another"}, {"namespace": 7}, {"started": 1}])
def test_a_job_goes_on_where_its_run_cannot_be_seen(started, differs):
    """A process with the id of the run is another, which may end at any time."""
    stranger = python("input()")
    owner = Owner(**vars(Owner.current()) | {"process": stranger.pid, "started": 0} | differs)
    job = started(BEGIN["job"], **{RUN: owner.text()})
    stranger.communicate("\n")
    time.sleep(0.7)
    assert job.poll() is None
