"""``dfdc score`` against the submission that the workflow makes of the same videos."""

import csv
import json
import re
import shutil

import av
import cv2
import pytest

from dfdc.cli.main import main
from dfdc.data.schemas.scores import SCORES
from dfdc.data.tables import read_table
from dfdc.networks.weights.files import export_pth
from dfdc.networks.weights.load import load_weights
from dfdc.stages.prediction.ensemble import video_scores
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.verdict import in_words
from published import published


@pytest.fixture
def score(finished_run, tmp_path):
    """Score videos with the settings of the tiny demo; gives the exit status, and what the CSV file says."""
    settings = ["--config", str(finished_run.folder / "profiles/demo/settings.yaml")]
    settings += ["--config", str(finished_run.folder / "tests/tiny.yaml"), "--device", "cpu", "--workers", "2"]

    def run(videos, weights, *arguments):
        places = [str(word) for place in weights for word in ("--weights", place)]
        table = tmp_path / "scores.csv"
        words = map(str, (*videos, *places, *settings, "--csv", table, *arguments))
        status = main(["score", *words])
        with table.open(newline="") as file:
            return status, {row["video"]: row for row in csv.DictReader(file)}

    return run


@pytest.fixture
def submitted(finished_run):
    """The workflow's submission."""
    with (finished_run.demo / "submission.csv").open(newline="") as file:
        return {row["filename"]: float(row["label"]) for row in csv.DictReader(file)}


def test_the_scores_are_those_of_the_workflow(finished_run, submitted, score, tmp_path, capsys):
    videos = tmp_path / "videos"
    shutil.copytree(finished_run.demo / "data/test_videos", videos)
    (videos / "empty.mp4").touch()
    (videos / "words.mp4").write_text("no video")
    (videos / "notes.txt").write_text("passed over")
    outputs = ["--json", tmp_path / "scores.json", "--timeline", tmp_path / "lines"]
    status, rows = score([videos], [finished_run.demo], *outputs)

    assert status == 1
    assert list(rows) == sorted([*submitted, "empty.mp4", "words.mp4"])
    assert {name: float(rows[name]["probability"]) for name in submitted} == pytest.approx(submitted, abs=1e-6)
    for name in ("empty.mp4", "words.mp4"):
        assert (rows[name]["probability"], rows[name]["status"]) == ("0.50000000", "unreadable")
    assert rows["empty.mp4"]["reason"] == "the file is empty"

    printed = capsys.readouterr()
    assert "made for a demonstration (the demo's faces: 4 pairs of 3 real videos)" in printed.err
    head, *lines, end = printed.out.splitlines()
    assert head.split() == ["video", "fake?", "tracks", "frames", "took", "state"]
    assert "audio is not checked" in end
    assert sorted(line.split()[0] for line in lines) == list(rows)
    for line in lines:
        name, words, probability, tracks, frames = re.match(r"(\S+) +(.+?) \((.+?)\) +(\d+) +(\d+)", line).groups()
        assert probability == f"{float(rows[name]['probability']):.2f}"
        assert (tracks, frames) == (rows[name]["tracks"], rows[name]["frames"])
        assert words == (in_words(float(rows[name]["probability"])))
        assert line.endswith("unreadable: the file is empty" if name == "empty.mp4" else ("  ok", ")", "read"))

    told = json.loads((tmp_path / "scores.json").read_text())
    assert told["detector"] == "yunet"
    assert list(told["models"]) == ["large_crop", "re", "seq"]
    assert "audio is not checked" in told["limits"]
    about = told["models"]["seq"]["provenance"]
    assert (about["purpose"], about["architecture"], about["pairs"]) == ("demonstration", "efficientnet-lite0", 4)
    assert [video["video"] for video in told["videos"]] == list(rows)
    drawn = {f"{video['video'].removesuffix('.mp4')}.png" for video in told["videos"] if video["tracks"]}
    assert {path.name for path in (tmp_path / "lines").iterdir()} == drawn != set()
    for video in told["videos"]:
        row = rows[video["video"]]
        assert video["verdict"] == in_words(video["probability"])
        assert (video["status"], len(video["tracks"])) == (row["status"], int(row["tracks"]))
        assert video["probability"] == pytest.approx(float(row["probability"]), abs=1e-8)
        if len(video["tracks"]) == 1:
            assert video["tracks"][0]["probability"] == video["probability"]
            assert set(video["tracks"][0]["models"]) == set(told["models"])
    for path in (tmp_path / "lines").iterdir():
        picture = cv2.imread(str(path))
        assert min(picture.shape[:2]) > 300
        assert picture.std() > 20


@pytest.fixture
def one_as_published(finished_run, tmp_path):
    """A folder with the model re as a PyTorch file, as the published ones are."""
    entry = finished_run.tiny_settings()["models"]["re"]
    weights = finished_run.demo / "results/models/re/weights.fp16.safetensors"
    path = tmp_path / "published" / "b7_re_100k" / "snapshot.fp16.pth"
    path.parent.mkdir(parents=True)
    export_pth(path, load_weights(weights, entry["architecture"], entry["kind"]))
    return tmp_path / "published"


def expected(run, video, *models):
    """The score of a video by some models, from the tables of the workflow."""
    tables = [
        read_table(path, SCORES)
        for name in models
        for path in sorted((run.demo / f"results/test/scores/{name}").iterdir())
    ]
    probability = video_scores([video.name], tables, published(EnsembleSettings))[video.name]
    assert probability != 0.5
    return pytest.approx(probability, abs=1e-6)


def test_the_settings_come_with_the_weights(finished_run, submitted, tmp_path, monkeypatch):
    """Without any of the settings, anywhere, from a copy of the weights: the workflow's scores."""
    weights = tmp_path / "handed on"
    shutil.copytree(finished_run.demo / "results/release", weights)
    videos = sorted((finished_run.demo / "data/test_videos").glob("*.mp4"))[:2]
    monkeypatch.chdir(tmp_path)
    words = [*map(str, videos), "--weights", str(weights), "--device", "cpu", "--workers", "2", "--csv", "scores.csv"]
    assert main(["score", *words]) == 0
    with (tmp_path / "scores.csv").open(newline="") as file:
        scores = {row["video"]: float(row["probability"]) for row in csv.DictReader(file)}
    assert scores == pytest.approx({video.name: submitted[video.name] for video in videos}, abs=1e-6)


def test_two_models_of_three(finished_run, score, one_as_published):
    video = min((finished_run.demo / "data/test_videos").glob("*.mp4"))
    status, rows = score([video], [finished_run.demo / "results/models/seq", one_as_published])
    assert status == 0
    assert float(rows[video.name]["probability"]) == expected(finished_run, video, "re", "seq")


def test_one_model_with_numbers_on_stdout_and_the_video_with_boxes(
    finished_run, score, one_as_published, tmp_path, capsys
):
    video = min((finished_run.demo / "data/test_videos").glob("*.mp4"))
    target = tmp_path / "boxes.mp4"
    score([video], [one_as_published / "b7_re_100k/snapshot.fp16.pth"], "--json", "-", "--annotate", target)
    printed = capsys.readouterr()
    (told,) = json.loads(printed.out)["videos"]
    assert (told["video"], told["probability"]) == (video.name, expected(finished_run, video, "re"))
    assert printed.err.splitlines()[0].split()[:2] == ["video", "fake?"]
    seconds = [one["second"] for one in told["tracks"][0]["each_second"]]
    assert seconds == sorted({int(second) for second in seconds})
    with av.open(str(video)) as before, av.open(str(target)) as after:
        assert after.streams.video[0].average_rate == before.streams.video[0].average_rate
        assert [stream.type for stream in after.streams] == ["video", "audio"]
        assert sum(1 for _ in after.decode(video=0)) == sum(1 for _ in before.decode(video=0))
