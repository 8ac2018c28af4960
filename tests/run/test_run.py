"""The tiny demo from videos to submission.csv, as a user runs it."""

import csv
import hashlib
import json

import pytest

from dfdc.data.labels import read_details
from dfdc.data.schemas.evaluation import EVALUATED
from dfdc.data.schemas.pairs import PAIRS
from dfdc.data.schemas.scores import SCORES
from dfdc.data.schemas.validation_scores import VALIDATION_SCORES
from dfdc.data.tables import read_table
from dfdc.stages.prediction.ensemble import video_scores
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from published import published


def contents(project, *patterns):
    """{file: hash} of all that a run makes but the test videos, or of some of it."""
    files = [file for pattern in patterns or ["results/**/*", "submission.csv"] for file in project.demo.glob(pattern)]
    return {
        str(file.relative_to(project.demo)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file()
    }


def test_the_submission_is_valid(finished_run):
    with (finished_run.demo / "submission.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["filename", "label"]
    videos = [path.name for path in (finished_run.demo / "data/test_videos").glob("*.mp4")]
    assert [name for name, _ in rows] == sorted(videos)
    assert all(0 <= float(score) <= 1 for _, score in rows)
    assert len({score for _, score in rows}) > 1


def test_the_evaluation(finished_run):
    evaluation = json.loads((finished_run.demo / "results/evaluation.json").read_text())
    numbers = {"log_loss_clip", "calibration_bins", "intervals"}
    assert set(evaluation) == {
        "ensemble",
        "models",
        "pairs",
        "groups",
        "videos",
        "calibration",
        "versions",
        "checksum",
        *numbers,
    }
    assert set(evaluation["models"]) == {"large_crop", "re", "seq"}
    assert set(evaluation["pairs"]) == {"large_crop + re", "large_crop + seq", "re + seq"}
    assert set(evaluation["groups"]["method"]) == {"swap", "self-blend"}
    for scores in (evaluation["ensemble"], *evaluation["models"].values()):
        assert scores["videos"] == 4
        assert scores["log_loss"] > 0
        assert 0 <= scores["auc"] <= 1
        assert 0 <= scores["accuracy"] <= 1
    assert evaluation["videos"] == {"total": 4, "labelled": 4, "by_status": {"ok": 4}}


def test_the_scores_that_were_evaluated_are_those_of_the_submission(finished_run):
    rows = read_table(finished_run.demo / "results/evaluation.parquet", EVALUATED).to_pylist()
    with (finished_run.demo / "submission.csv").open(newline="") as file:
        submitted = {row["filename"]: row["label"] for row in csv.DictReader(file)}
    assert {row["video"]: f"{row['score']:.8f}" for row in rows if row["models"] == "ensemble"} == submitted
    labels = read_details(finished_run.demo / "data/test_labels.csv")
    assert all(row["label"] == labels[row["video"]].fake for row in rows)


def test_the_evaluation_of_what_was_kept_out(finished_run):
    folder = finished_run.demo / "results/validation"
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert set(evaluation["conditions"]) == {"plain", "fps 15, scale 0.5, CRF 35"}
    pairs = read_table(finished_run.demo / "results/pairs.parquet", PAIRS).to_pylist()
    kept_out = {(pair["part"], pair["fake"]) for pair in pairs if pair["split"] == "validation"}
    rows = [row for path in sorted(folder.glob("scores/*")) for row in read_table(path, VALIDATION_SCORES).to_pylist()]
    assert {(row["part"], row["fake"]) for row in rows} <= kept_out
    assert len(rows) == 2 * 2 * (1 + 1 + 7)  # clips, conditions, frames of the three models
    calibration = json.loads((folder / "calibration.json").read_text())
    assert calibration["published"]["log_loss"] == evaluation["conditions"]["plain"]["ensemble"]["log_loss"]
    assert calibration["exponent"]["log_loss"] <= calibration["published"]["log_loss"]


def test_a_fitted_calibration_is_used(finished_run, tmp_path):
    project = finished_run.copy(tmp_path / "copy")
    settings = {"ensemble": {"calibration": "temperature"}}
    done = project.snakemake("submission.csv", settings=settings)
    assert done.returncode == 0, done.stdout
    assert "rule score" not in done.stdout
    folder = project.demo / "results"
    temperature = json.loads((folder / "validation/calibration.json").read_text())["temperature"]["temperature"]
    assert json.loads((folder / "evaluation.json").read_text())["calibration"] == "temperature"
    tables = [read_table(path, SCORES) for path in sorted(folder.glob("test/scores/*/*"))]
    with (project.demo / "submission.csv").open(newline="") as file:
        submitted = {row["filename"]: float(row["label"]) for row in csv.DictReader(file)}
    expected = video_scores(submitted, tables, published(EnsembleSettings, temperature=temperature))
    assert submitted == pytest.approx(expected, abs=1e-8)
    assert project.plan("submission.csv", settings=settings) == []


def test_each_job_leaves_a_log_and_a_benchmark(finished_run, project):
    jobs = project.plan("--forceall")
    assert len(jobs) == 44
    for job in jobs:
        place = job.replace(" ", "/")
        assert (finished_run.demo / f"logs/{place}.log").is_file(), job
        assert (finished_run.demo / f"benchmark/{place}.tsv").stat().st_size > 0, job
    trainings = [(finished_run.demo / f"logs/train/{model}.log").read_text() for model in ("large_crop", "re", "seq")]
    assert all("images/s" in text and "loss" in text for text in trainings)


def test_no_file_is_left_half_written(finished_run):
    assert not [file for file in finished_run.demo.rglob("*.part") if file.is_file()]


def test_a_second_run_does_nothing(project):
    before = contents(project)
    done = project.snakemake()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout
    assert contents(project) == before


def test_another_demo_is_made_and_used_in_one_run(finished_run, tmp_path):
    """The test half follows on new test videos, and does so at once."""
    project = finished_run.copy(tmp_path / "copy")
    wanted = [f"results/test/videos/{shard}.parquet" for shard in (0, 1)]
    settings = {"demo": {"seed": 1}}
    before = contents(project, *wanted)
    done = project.snakemake(*wanted, settings=settings)
    assert done.returncode == 0, done.stdout
    assert all(before[name] != now for name, now in contents(project, *wanted).items())
    assert project.plan(*wanted, settings=settings) == []


def test_a_job_that_fails_says_why(finished_run, tmp_path):
    """The reason is on the terminal, without a traceback, and there is no output that could be taken for a good one."""
    project = finished_run.copy(tmp_path / "copy")
    project.write("demo/results/detections/dfdc_train_part_0.parquet", b"no table")
    done = project.snakemake("results/tracks/dfdc_train_part_0.parquet", "--forcerun", "build_tracks")
    assert done.returncode == 1
    assert "cannot be read as a table" in done.stdout
    assert "snakemake again" in done.stdout
    assert 'File "' not in done.stdout
    assert not (project.demo / "results/tracks/dfdc_train_part_0.parquet").exists()


def test_a_training_goes_on_only_with_the_same_settings_and_data(finished_run, tmp_path):
    """The checkpoint that is left of a training (here: something broken) is for that training alone."""
    project = finished_run.copy(tmp_path / "copy")
    target = "results/models/re/weights.safetensors"
    once = {"models": {"re": {"seed": 11}}}
    assert project.snakemake(target, settings=once).returncode == 0
    (folder,) = (project.demo / "work" / "re").iterdir()
    (checkpoint,) = folder.glob("checkpoint_*.safetensors")
    checkpoint.write_bytes(b"something broken")
    for changed in (once | {"validation": {"share": 0.5}}, {"models": {"re": {"seed": 12}}}):
        done = project.snakemake(target, settings=changed)
        assert done.returncode == 0, done.stdout
    assert len(list((project.demo / "work" / "re").iterdir())) == 3
    done = project.snakemake(target, settings=once)
    assert done.returncode == 1
    assert f"{folder.name}/checkpoint_00000004.safetensors is damaged" in done.stdout
    assert "Traceback" not in done.stdout
