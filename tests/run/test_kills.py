"""The data half of a run that is killed: a plain rerun ends with the same files as a run that nothing disturbed.

By default it is killed at three moments; `make test-kills` kills it at twenty.
"""

import hashlib
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from dfdc.data.seeding import generator
from nodes import renewing, written

MOMENTS = int(os.environ.get("DFDC_KILLS", "3"))
TARGETS = ["results/pairs.parquet", "results/test/crops/0.parquet"]
OPTIONS = {"settings": {"data": {"parts": ["dfdc_train_part_0"]}, "prediction": {"shards": 1}}, "own_data": True}
# Far more than any of it takes, so that a fault ends the test and a slow machine does not.
PATIENCE = 600.0


def results(project):
    """{file: hash} of all that the run has made."""
    folder = project.demo / "results"
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def members(session):
    """The processes of a session that are alive, but for the first."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, of_session, *_ = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(of_session) == session and state != "Z" and int(process.name) != session:
            found.append(int(process.name))
    return found


@pytest.fixture(scope="module")
def beginning(finished_run, tmp_path_factory):
    """The program and the tiny demo's data set as somebody's own, with nothing run."""
    project = type(finished_run).fresh(tmp_path_factory.mktemp("beginning") / "copy", finished_run.folder)
    shutil.copytree(finished_run.demo / "data", project.demo / "data")
    return project


@pytest.fixture(scope="module")
def undisturbed(beginning, tmp_path_factory):
    """What comes out of an undisturbed run, and how long it takes in seconds."""
    project = beginning.copy(tmp_path_factory.mktemp("undisturbed") / "copy")
    start = time.monotonic()
    done = project.snakemake(*TARGETS, **OPTIONS)
    assert done.returncode == 0, done.stdout
    made = results(project)
    assert {name.rsplit("/", 1)[-1] for name in made} == {
        *("pairs.parquet", "dfdc_train_part_0.parquet", "dfdc_train_part_0.arrow", "0.parquet", "0.arrow")
    }
    return made, time.monotonic() - start


def goes_on(project, made):
    """Whether the same command again ends well, with the same files."""
    done = project.snakemake(*TARGETS, **OPTIONS)
    assert done.returncode == 0, done.stdout
    assert results(project) == made
    assert not list(project.demo.rglob(".*.part"))


@pytest.mark.parametrize("number", range(MOMENTS))
def test_killed_at_some_moment(beginning, undisturbed, tmp_path, number):
    made, duration = undisturbed
    project = beginning.copy(tmp_path / "copy")
    run = project.start_snakemake(*TARGETS, output=tmp_path / "killed.txt", **OPTIONS)
    time.sleep((number + generator(0, "moment of a kill", number).random()) / MOMENTS * duration)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    goes_on(project, made)


@pytest.mark.parametrize("rule", ["detect_faces", "extract_clips"])
def test_killed_without_its_jobs(beginning, undisturbed, tmp_path, rule):
    """The kernel kills what takes most memory, which need not be all of a run."""
    project = beginning.copy(tmp_path / "copy")
    run = project.start_snakemake(*TARGETS, output=tmp_path / "killed.txt", **OPTIONS)
    wait_for(lambda: (project.demo / f"logs/{rule}/dfdc_train_part_0.log").exists())
    jobs = members(run.pid)
    assert jobs
    run.kill()
    run.wait()
    goes_on(project, undisturbed[0])
    assert not members(run.pid)


def test_a_run_that_is_alive_keeps_what_it_locked(beginning, tmp_path):
    project = beginning.copy(tmp_path / "copy")
    run = project.start_snakemake(*TARGETS, output=tmp_path / "first.txt", **OPTIONS)
    wait_for(lambda: (project.demo / ".snakemake/locks/0.output.lock").exists())
    done = project.snakemake(*TARGETS, **OPTIONS)
    assert run.poll() is None
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert done.returncode == 1
    assert f"{project.demo} is in use by a run (process {run.pid} on " in done.stdout


def test_a_run_of_another_machine_keeps_what_it_locked(beginning, tmp_path):
    """On a disk that does not tell this machine which locks of the kernel are held on another."""
    project = beginning.copy(tmp_path / "copy")
    (lock := project.demo / ".snakemake/locks/0.output.lock").parent.mkdir(parents=True)
    lock.write_text(f"{TARGETS[0]}\n")
    heartbeat = written(project.demo / ".snakemake/alive/node7.run")
    run = project.start_snakemake(*TARGETS, output=tmp_path / "refused.txt", **OPTIONS)
    with renewing(heartbeat):
        assert run.wait(PATIENCE) == 1
    said = (tmp_path / "refused.txt").read_text()
    wanted = rf"{re.escape(str(project.demo))} is in use by a run \(process 41 on node7, last heartbeat \d+ s ago\)\."
    assert re.search(wanted, said), said
    assert "--unlock argument" not in said
    assert lock.read_text() == f"{TARGETS[0]}\n"
    assert heartbeat.exists()
    assert not (project.demo / "results").exists()
