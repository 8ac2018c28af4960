"""A disk without room: a message that helps, nothing half-written, and a run that goes on when there is room again."""

import hashlib
import logging
import shutil
import subprocess
from base64 import urlsafe_b64encode

import pytest
import torch
from safetensors.torch import save_file

from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.scores import SCORES, FrameScore
from dfdc.data.tables import write_table
from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path
from dfdc.system.jobs.log import rule_log

STORE = "results/clips/dfdc_train_part_0.arrow"


def run(*command):
    return subprocess.run(command, text=True, capture_output=True, check=False)


@pytest.fixture
def full(disk, tmp_path):
    """A folder on a disk of 1 MB that has no room for another byte."""
    folder = disk(tmp_path / "full", "1m")
    run("dd", "if=/dev/zero", f"of={folder / 'filler'}")
    assert shutil.disk_usage(folder).free == 0
    return folder


def with_table(path):
    rows = [FrameScore(f"{number}.mp4", 0, number, 0.5) for number in range(1000)]
    write_table(path, SCORES, rows)


def with_store(path):
    write_store(path, [[bytes(100_000)]])


def with_safetensors(path):
    with atomic_path(path) as temporary:
        save_file({"weights": torch.zeros(10_000)}, temporary)


def with_bytes(path):
    with atomic_path(path) as temporary:
        temporary.write_bytes(bytes(100_000))


@pytest.mark.parametrize("write", [with_table, with_store, with_safetensors, with_bytes])
def test_what_is_written_says_so(full, write):
    with pytest.raises(UserError, match="disk is full") as told:
        write(full / "file")
    assert str(full / "file") in str(told.value)
    assert "run again" in str(told.value)
    assert [path.name for path in full.iterdir()] == ["filler"]


def test_a_folder_that_cannot_be_written(program, disk, tmp_path):
    folder = disk(tmp_path / "read-only", "1m")
    run("mount", "-o", "remount,ro", str(folder))
    done = program.bare_snakemake("-n", "--directory", str(folder))
    assert done.returncode == 1
    assert "cannot be written (Read-only file system)" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_disk_without_room_for_another_file(disk, tmp_path):
    folder = disk(tmp_path / "many", "1m,nr_inodes=3")
    for number in range(3):
        run("touch", str(folder / str(number)))
    with pytest.raises(UserError, match=r"disk is full.*no inodes are free.*Delete files"):
        with_bytes(folder / "file")


def _score(folder):
    with rule_log("logs/score.log", "score"):
        logging.getLogger("dfdc.somewhere").warning("a line that finds no room in the file")
        with_bytes(folder / "scores")


def test_a_job_whose_log_finds_no_room(full, monkeypatch, capfd):
    monkeypatch.chdir(full)
    root = logging.getLogger()
    before = root.handlers, root.level, logging.raiseExceptions
    try:
        with pytest.raises(SystemExit) as ended:
            _score(full)
    finally:
        root.handlers, root.level, logging.raiseExceptions = before
        logging.captureWarnings(False)
    assert ended.value.code == 1
    said = capfd.readouterr().err
    assert "[score] The disk is full" in said.splitlines()[1]
    assert said.count("\n") == 2


def test_a_run_on_a_full_disk_ends_before_it_deletes_anything(finished_run, disk, tmp_path):
    project = type(finished_run).fresh(tmp_path / "copy", finished_run.folder)
    disk(project.demo, "200m")
    shutil.copytree(finished_run.demo, project.demo, dirs_exist_ok=True, ignore=shutil.ignore_patterns("work"))
    before = {path for path in (project.demo / "results").rglob("*") if path.is_file()}
    changed = {"alignment": {"min_iou": 0.4}}
    run("dd", "if=/dev/zero", f"of={project.demo / 'filler'}")
    done = project.snakemake(settings=changed)
    assert done.returncode == 1
    assert "The disk is full" in done.stdout
    assert "Traceback" not in done.stdout
    assert {path for path in (project.demo / "results").rglob("*") if path.is_file()} == before
    (project.demo / "filler").unlink()
    planned = project.plan(settings=changed)
    assert {"align_tracks dfdc_train_part_0", "align_tracks dfdc_train_part_1", "submission"} <= set(planned)


def test_a_disk_that_fills_while_a_finished_job_is_recorded(finished_run, disk, tmp_path):
    """Snakemake's records are on a disk of their own here, so that it is full for nothing else."""
    project = finished_run.copy(tmp_path / "copy")
    before = (project.demo / "submission.csv").read_bytes()
    kept = shutil.move(project.demo / ".snakemake/metadata", tmp_path / "records")
    records = disk(project.demo / ".snakemake/metadata", "4m")
    shutil.copytree(kept, records, dirs_exist_ok=True)
    # Otherwise it would be overwritten where it is.
    (records / urlsafe_b64encode(b"submission.csv").decode()).unlink()
    run("dd", "if=/dev/zero", f"of={records / 'filler'}")
    project.remove("demo/submission.csv")
    done = project.snakemake("submission.csv")
    assert done.returncode == 1
    assert done.stdout.count("The disk is full") == 1
    assert f"no space for Snakemake's records in {records} (0 MB are free). Finished files are intact." in done.stdout
    assert "Error recording metadata" not in done.stdout
    assert "Traceback" not in done.stdout
    assert (project.demo / "submission.csv").read_bytes() == before
    (records / "filler").unlink()
    assert project.plan("submission.csv") == ["submission"]


def test_a_run_goes_on_when_there_is_room(finished_run, disk, tmp_path):
    project = type(finished_run).fresh(tmp_path / "copy", finished_run.folder)
    disk(project.demo, "4m")
    data = {"root": str(finished_run.demo / "data"), "parts": ["dfdc_train_part_0"]}
    options = {"settings": {"data": data}, "own_data": True}
    done = project.snakemake(STORE, **options)
    assert done.returncode == 1
    assert "The disk is full" in done.stdout
    assert str(project.demo / STORE) in done.stdout
    assert "Traceback" not in done.stdout
    assert not [path for path in project.demo.rglob("*") if path.suffix in (".part", ".arrow")]

    disk(project.demo, "64m")
    done = project.snakemake(STORE, **options)
    assert done.returncode == 0, done.stdout
    assert "rule detect_faces" not in done.stdout
    made, expected = ((folder / STORE).read_bytes() for folder in (project.demo, finished_run.demo))
    assert hashlib.sha256(made).hexdigest() == hashlib.sha256(expected).hexdigest()
