"""Published weights in, submission out: the plan of profiles/published."""

import pytest
import yaml


@pytest.fixture
def published(program):
    """A folder with nothing but files of the published names and a video to score."""
    settings = yaml.safe_load((program.folder / "profiles/published/settings.yaml").read_text())
    files = [settings["detection"]["test"]["weights"], *(model["weights"] for model in settings["models"].values())]
    for path in [*files, "data/test_videos/video.mp4"]:
        program.write(path, b"")
    yield program
    program.restore()


def test_no_training_and_no_training_data_are_in_the_plan(published):
    jobs = published.bare_plan("submission.csv", "--profile", "profiles/published")
    assert {job.split()[0] for job in jobs} == {
        *("detect_test_faces", "track_test_faces", "crop_test_faces"),
        *("export_weights", "score", "submission"),
    }
    assert [job for job in jobs if job.startswith("export_weights")] == [
        "export_weights large_crop",
        "export_weights re",
        "export_weights seq",
    ]


def test_a_file_that_is_missing_is_named(published):
    name = "external_data/WIDERFace_DSFD_RES152.fp16.pth"
    (published.folder / name).unlink()
    try:
        done = published.bare_snakemake("--dry-run", "submission.csv", "--profile", "profiles/published")
    finally:
        (published.folder / name).touch()
    assert done.returncode == 1
    assert name in done.stdout
    assert "detection.test.weights" in done.stdout
    assert "Traceback" not in done.stdout
