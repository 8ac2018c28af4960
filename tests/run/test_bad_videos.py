"""Videos that cannot be used stop nothing: they have a row that says why, and in the submission 0.5."""

import csv
import json

import av
import numpy as np
import pytest

from dfdc.data.parts import read_metadata
from dfdc.data.schemas.alignment import ALIGNED
from dfdc.data.schemas.pairs import PAIRS
from dfdc.data.schemas.videos import TEST_VIDEOS, VIDEOS
from dfdc.data.tables import read_table
from dfdc.networks.weights.files import read_weights_metadata


def write_landscape(path):
    """A video without a face, whose index stands at its end."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for shift in range(60):
            rows = np.linspace(shift, 200 + shift / 2, 240)[:, None, None]
            picture = np.broadcast_to(rows, (240, 320, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())


def spoil(folder, good):
    """Put one video of each kind of fault into a folder; ``good`` is a sound one."""
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("This is no video, whatever its name says.\n" * 50)
    write_landscape(folder / "landscape.mp4")
    content = good.read_bytes()
    (folder / "truncated.mp4").write_bytes(content[: len(content) // 2])


STATUS = {
    "empty.mp4": "unreadable",
    "text.mp4": "unreadable",
    "truncated.mp4": "unreadable",
    "landscape.mp4": "no face",
}
REASON = {"empty.mp4": "empty", "text.mp4": "opened as a video", "landscape.mp4": "no face was detected"}


@pytest.fixture(scope="module")
def spoilt(_copy_of_module):
    """A part and test videos, of both of which most are spoilt. Returned with the names of the sound videos."""
    project, data = _copy_of_module, _copy_of_module.demo / "data"
    part, tests = data / "dfdc_train_part_0", data / "test_videos"
    metadata = read_metadata(part / "metadata.json")
    (good_fake, good), (lone_fake, missing) = (
        (name, entry["original"]) for name, entry in metadata.items() if entry["label"] == "FAKE"
    )
    spoil(part, part / good)
    (part / missing).unlink()
    metadata |= {name: {"label": "REAL", "split": "train"} for name in STATUS}
    metadata["empty.mp4"] = {"label": "FAKE", "split": "train", "original": good}
    (part / "metadata.json").write_text(json.dumps(metadata))
    spoil(tests, next(tests.glob("*.mp4")))
    return project, {"good": good, "good_fake": good_fake, "missing": missing, "lone_fake": lone_fake}


def settings(max_unreadable, **models):
    return {
        "data": {"parts": ["dfdc_train_part_0"], "max_unreadable": max_unreadable},
        "models": {name: {"weights": path} for name, path in models.items()},
    }


def test_too_many_are_an_error(spoilt):
    project, _ = spoilt
    done = project.snakemake("results/pairs.parquet", settings=settings(0.05), own_data=True)
    assert done.returncode == 1
    assert "4 of 8 videos" in done.stdout
    assert "data.max_unreadable (5%)" in done.stdout
    assert "empty.mp4: the file is empty" in done.stdout
    assert 'File "' not in done.stdout
    assert not (project.demo / "results/videos/dfdc_train_part_0.parquet").exists()


def test_training_part(spoilt):
    project, names = spoilt
    done = project.snakemake("results/pairs.parquet", settings=settings(0.6), own_data=True)
    assert done.returncode == 0, done.stdout
    rows = read_table(project.demo / "results/videos/dfdc_train_part_0.parquet", VIDEOS).to_pylist()
    videos = {row["video"]: row for row in rows}
    assert len(videos) == len(rows) == 8
    for name, status in {**STATUS, names["missing"]: "unreadable"}.items():
        assert videos[name]["status"] == status
        assert REASON.get(name, "") in videos[name]["reason"]
    assert "missing" in videos[names["missing"]]["reason"]
    assert all(videos[names[name]]["status"] == "ok" for name in ("good", "good_fake", "lone_fake"))

    pairs = read_table(project.demo / "results/pairs.parquet", PAIRS).to_pylist()
    assert {(pair["real"], pair["fake"]) for pair in pairs} == {(names["good"], names["good_fake"])}
    aligned = read_table(project.demo / "results/aligned/dfdc_train_part_0.parquet", ALIGNED).to_pylist()
    reasons = {row["fake"]: row["reason"] for row in aligned if row["status"] == "unaligned"}
    assert reasons[names["lone_fake"]]
    assert reasons["empty.mp4"]


def test_test_videos(spoilt):
    project, _ = spoilt
    given = {model: f"results/models/{model}/weights.fp16.safetensors" for model in ("large_crop", "re", "seq")}
    for model, path in given.items():
        (project.demo / f"{model}.safetensors").write_bytes((project.demo / path).read_bytes())
    weights = {model: f"{model}.safetensors" for model in given}
    changes = {**settings(0.05, **weights), "prediction": {"shards": 1}}
    # How faces are prepared is what the weights say, whatever the config says.
    changes["models"]["re"]["crop"] = {"smaller_side": 64, "height": 64, "width": 64}
    done = project.snakemake("submission.csv", settings=changes, own_data=True)
    assert done.returncode == 0, done.stdout
    assert "rule train:" not in done.stdout
    assert read_weights_metadata(project.demo / given["re"]) == read_weights_metadata(project.demo / "re.safetensors")
    with (project.demo / "submission.csv").open(newline="") as file:
        scores = {row["filename"]: float(row["label"]) for row in csv.DictReader(file)}
    assert len(scores) == 8
    assert {name for name, score in scores.items() if score == 0.5} == set(STATUS)
    rows = read_table(project.demo / "results/test/videos/0.parquet", TEST_VIDEOS).to_pylist()
    statuses = {row["video"]: row["status"] for row in rows}
    assert {name: statuses[name] for name in STATUS} == STATUS
    evaluation = json.loads((project.demo / "results/evaluation.json").read_text())
    assert evaluation["videos"] == {
        "total": 8,
        "labelled": 4,
        "by_status": {"no face": 1, "ok": 4, "unreadable": 3},
    }


def test_weights_of_another_network(spoilt):
    project, _ = spoilt
    (project.demo / "other.safetensors").write_bytes(
        (project.demo / "results/models/seq/weights.safetensors").read_bytes()
    )
    done = project.snakemake(
        "results/models/re/weights.fp16.safetensors", settings=settings(0.05, re="other.safetensors"), own_data=True
    )
    assert done.returncode == 1
    assert "other.safetensors" in done.stdout
    assert 'File "' not in done.stdout
