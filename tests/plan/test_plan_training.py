"""A training that is told to end while it runs, and one whose result is lost: what would run again, and from where."""

import json
import os
import signal
import time

TARGET = "results/models/re/weights.safetensors"
# Far more than any of it takes, so that a fault ends the test and a slow machine does not.
PATIENCE = 600.0


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def result(project):
    return {path.name: path.read_bytes() for path in (project.demo / "results/models/re").iterdir()}


def test_a_training_is_stopped_and_goes_on_and_is_not_made_twice(finished_run, world, tmp_path):
    project = finished_run.copy(tmp_path / "copy")
    log = project.demo / "logs/train/re.log"
    (made,) = (finished_run.demo / "work/re").iterdir()
    folder = project.demo / "work/re" / made.name
    folder.mkdir(parents=True)
    # In place of a record a pipe, in whose opening the training waits at its first iteration until somebody reads.
    os.mkfifo(folder / "speed.jsonl")
    project.remove(f"demo/{TARGET}")
    run = project.start_snakemake(TARGET, output=tmp_path / "stopped.txt")
    wait_for(lambda: list(folder.glob("tensorboard/events*")))
    (lock,) = folder.glob("lock-*")
    os.kill(json.loads(lock.read_text())["process"], signal.SIGTERM)
    reader = os.open(folder / "speed.jsonl", os.O_RDWR)
    assert run.wait(PATIENCE) == 1
    os.close(reader)
    (folder / "speed.jsonl").unlink()
    assert "Stopped by a signal after iteration" in log.read_text()
    assert not (project.demo / TARGET).exists()
    assert project.plan() == world.after("train re")

    # What is only recorded or said may change meanwhile: the training still goes on from where it was.
    for path in ("lib/dfdc/stages/training/tensorboard.py", "lib/dfdc/system/jobs/leases.py"):
        project.write(path, (project.folder / path).read_bytes() + b"\nADDED = 1\n")
    assert project.plan() == world.after("train re")

    (checkpoint,) = folder.glob("checkpoint_*")
    reached = int(checkpoint.stem.removeprefix("checkpoint_"))
    assert reached < 4
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert project.snakemake(TARGET, settings={"speed": {"scratch": str(scratch)}}).returncode == 0
    assert f"resuming after iteration {reached}" in log.read_text()
    assert f"GB) to {scratch}" in log.read_text()
    assert not list(scratch.iterdir())
    assert result(project) == result(finished_run)
    assert project.plan() == []

    # As if Snakemake had been killed on a cluster, and its job had come to its end without it.
    project.remove(f"demo/{TARGET}")
    assert project.snakemake(TARGET).returncode == 0
    assert "resuming after iteration 4" in log.read_text()
    assert "loss" not in log.read_text()
    assert result(project) == result(finished_run)
