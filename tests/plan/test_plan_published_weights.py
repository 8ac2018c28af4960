"""Published weights in, submission out: the plan of profiles/published-weights, with smaller networks."""

import pytest
import torch
import yaml

from dfdc.networks.families import build_model

SETTINGS = "profiles/published-weights/settings.yaml"


@pytest.fixture
def published(program):
    """A folder with files of the published names, a video to score, and nothing else."""
    settings = yaml.safe_load((program.folder / SETTINGS).read_text())
    program.write("data/test_videos/video.mp4", b"")
    program.write(settings["detection"]["test"]["weights"], b"")
    small = {"models": {name: {"architecture": "efficientnet-lite0"} for name in settings["models"]}}
    program.write("small.yaml", yaml.safe_dump(small).encode())
    for name, model in settings["models"].items():
        program.write(model["weights"], b"")
        network = build_model("efficientnet-lite0", "sequence" if name == "seq" else "frame", (224, 192))
        torch.save(network.half().state_dict(), program.folder / model["weights"])
    yield program
    program.restore()


def test_no_training_and_no_training_data_are_in_the_plan(published):
    jobs = published.bare_plan("submission.csv", "--configfile", SETTINGS, "small.yaml")
    assert {job.split()[0] for job in jobs} == {
        *("detect_test_faces", "track_test_faces", "crop_test_faces"),
        *("export_weights", "score", "submission"),
    }
    exported = [job for job in jobs if job.startswith("export_weights")]
    assert exported == ["export_weights large_crop", "export_weights re", "export_weights seq"]


def test_weights_of_another_network_are_refused_at_once(published):
    done = published.bare_snakemake("submission.csv", "--cores", "2", "--profile", "profiles/published-weights")
    assert done.returncode == 1
    assert "snapshot_100000.fp16.pth" in done.stdout
    assert "efficientnet-b7" in done.stdout
    assert "Traceback" not in done.stdout
    assert "Job stats" not in done.stdout


def test_a_file_that_is_missing_is_named(published):
    name = "external_data/WIDERFace_DSFD_RES152.fp16.pth"
    (published.folder / name).unlink()
    try:
        done = published.bare_snakemake("--dry-run", "submission.csv", "--profile", "profiles/published-weights")
    finally:
        (published.folder / name).touch()
    assert done.returncode == 1
    assert name in done.stdout
    assert "detection.test.weights" in done.stdout
    assert "Traceback" not in done.stdout
