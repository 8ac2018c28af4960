"""What is recorded in ``.snakemake`` from one run to the next."""

import base64
import json
import os
import shutil

import pytest

from dfdc.data.parts import shard_of
from nodes import wait_for_tick

HASHES = "lib/dfdc/system/jobs/records/hashes.py"


def records(project):
    """Snakemake's record of each output."""
    files = (project.demo / ".snakemake/metadata").iterdir()
    return [json.loads(file.read_text()) for file in files]


def is_store(path):
    """Whether a file holds pictures or streams, most of a run's bytes; or the test videos themselves."""
    return path.endswith((".arrow", "test_videos"))


def test_no_store_is_read_for_a_checksum(finished_run):
    """But of all other inputs there are checksums: a newer one with the same content makes nothing run again."""
    inputs = {path for record in records(finished_run) for path in record["input"]}
    compared = {path for record in records(finished_run) for path in record["input_checksums"]}
    assert sum(map(is_store, inputs)) == 7
    # Labels and metadata.json of the demo's data are among them.
    assert inputs - compared == {path for path in inputs if is_store(path)}


def test_a_test_video_changes_when_its_hash_is_remembered(project, world):
    """Though neither its size nor its time does."""
    project.replace(HASHES, "SETTLED = 60.0", "SETTLED = 0.0")
    assert project.plan() == []
    remembered = project.demo / ".snakemake/hashes.json"
    assert sum(key.startswith("videos ") for key in json.loads(remembered.read_text())) == 2
    written = remembered.stat().st_mtime_ns
    assert project.plan() == []
    assert remembered.stat().st_mtime_ns == written
    video = min((project.demo / "data/test_videos").glob("*.mp4"))
    before, content = video.stat(), bytearray(video.read_bytes())
    content[-1] ^= 1
    wait_for_tick(project.folder)
    project.write(str(video.relative_to(project.folder)), bytes(content))
    os.utime(video, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert project.plan() == world.after(f"detect_test_faces {shard_of(video.name, 2)}")


@pytest.mark.parametrize("content", [None, b"{"])
def test_records_of_results_are_gone_or_damaged(project, content):
    """Snakemake itself takes such results for up to date, with whatever settings."""
    for file in list((project.demo / ".snakemake/metadata").iterdir()):
        if b"aligned" in base64.urlsafe_b64decode(file.name):
            path = str(file.relative_to(project.folder))
            project.remove(path)
            if content is not None:
                project.write(path, content)
    for settings in ({}, {"alignment": {"min_iou": 0.4}}):
        refused = project.dry_run(settings=settings)
        assert refused.returncode == 1
        assert "It is not known how results" in refused.stdout
        assert "align_tracks/dfdc_train_part_0, align_tracks/dfdc_train_part_1" in refused.stdout
        assert "Nothing to be done" not in refused.stdout
    assert project.dry_run("--rerun-triggers", "mtime").returncode == 0


def test_results_without_records_can_be_vouched_for(finished_run, tmp_path):
    project = finished_run.copy(tmp_path / "copy")
    shutil.rmtree(project.demo / ".snakemake")
    assert project.dry_run().returncode == 1
    done = project.snakemake("--forceall", "--touch")
    assert done.returncode == 0, done.stdout
    assert project.plan() == []
    assert "alignment" in project.dry_run(settings={"alignment": {"min_iou": 0.4}}).stdout
