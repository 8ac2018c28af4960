"""Jobs that end before their first line: they run again, and so does all that depends on them."""

import os
import sys
from pathlib import Path

import pytest

CHANGED = {"alignment": {"min_iou": 0.4}}
ALIGNED = "demo/results/aligned/dfdc_train_part_0.parquet"
# What every Python process executes first; the job's script is among its arguments.
FAULTS = {
    "killed at once": "os.kill(os.getpid(), signal.SIGKILL)",
    "a package that cannot be imported": "sys.modules['pyarrow'] = None",
}
# Stand-ins for the programs of SLURM that a submission calls.
SLURM = {
    "sacctmgr": "echo faces",  # the accounts there are
    "sbatch": "echo 'sbatch: error: Invalid account or account/partition combination specified' >&2; exit 1",
}


@pytest.fixture
def project(finished_run, tmp_path):
    """A finished run."""
    return finished_run.copy(tmp_path / "copy")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_job_that_dies_before_its_first_line(project, world, tmp_path, fault):
    code = f"import os, signal, sys\nif any('align_tracks' in word for word in sys.orig_argv):\n    {FAULTS[fault]}\n"
    (tmp_path / "sitecustomize.py").write_text(code)
    project.environment["PYTHONPATH"] = str(tmp_path)
    done = project.snakemake(settings=CHANGED)
    assert done.returncode == 1
    assert "Error in rule align_tracks" in done.stdout
    project.environment.clear()
    assert not (project.folder / ALIGNED).exists()
    assert project.plan(settings=CHANGED) == world.after("align_tracks")
    done = project.snakemake("--until", "align_tracks", settings=CHANGED)
    assert done.returncode == 0, done.stdout
    assert project.plan("--until", "align_tracks", settings=CHANGED) == []


def test_a_cluster_that_refuses_jobs(project, world, tmp_path):
    (tmp_path / "bin").mkdir()
    for name, commands in SLURM.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{commands}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    path = [str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    project.environment["PATH"] = os.pathsep.join(path)
    site = ("--default-resources", "slurm_account=faces", "slurm_partition=cpu")
    at_once = ("--slurm-init-seconds-before-status-checks", "1")
    done = project.snakemake("--executor", "slurm", "--jobs", "2", *site, *at_once, settings=CHANGED)
    assert done.returncode == 1
    assert "Invalid account" in done.stdout
    project.environment.clear()
    assert project.plan(settings=CHANGED) == world.after("align_tracks")


def test_a_clock_that_went_back(project, world):
    """What a job makes then is older than what was made of its earlier output."""
    aligned, clips = project.folder / ALIGNED, project.demo / "results/clips/dfdc_train_part_0.parquet"
    tomorrow = clips.stat().st_mtime + 86400
    os.utime(clips, (tomorrow, tomorrow))
    changed = {"alignment": {"min_iou": 0.97}}
    before = aligned.read_bytes()
    done = project.snakemake("--until", "align_tracks", settings=changed)
    assert done.returncode == 0, done.stdout
    assert aligned.read_bytes() != before
    assert set(world.after("extract_clips dfdc_train_part_0")) <= set(project.plan(settings=changed))
