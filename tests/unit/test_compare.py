"""``dfdc compare``: two runs, as far as files tell about them."""

import base64
import json

import numpy as np
import pytest

from dfdc.cli.main import main
from dfdc.data.schemas.evaluation import EVALUATED, Evaluated
from dfdc.data.schemas.training import METRICS, VALIDATION, Measurement
from dfdc.data.tables import write_table
from dfdc.stages.evaluation.intervals import MEASURES, intervals, intervals_of_differences, measure
from dfdc.system.jobs.records.snakemake import METADATA

SETTINGS = {"training": {"iterations": 240, "recompression": {"crf": [17, 40]}}, "torch_threads": 1}
CODE = {"dfdc": "1", "dfdc.data.seeding": "2", "train.py": "3"}


def record(folder, output, rule, *params):
    """What Snakemake writes about a job."""
    name = base64.urlsafe_b64encode(output.encode()).decode()
    path = folder / METADATA / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (folder / output).parent.mkdir(parents=True, exist_ok=True)
    (folder / output).touch()
    about = {"rule": rule, "log": [f"logs/{rule}.log"], "params": list(map(repr, params)), "starttime": 1, "endtime": 9}
    path.write_text(json.dumps(about))


def write_scores(folder, shift, videos=range(40)):
    rows = [
        Evaluated("", f"{n}.mp4", None, f"{n % 8}.mp4", "", n % 2, "test", models, "published", score)
        for models in ("re", "ensemble")
        for n in videos
        for score in [0.3 + 0.4 * (n % 2) + 0.2 * np.sin(n) + shift * (1 - 2 * (n % 2))]
    ]
    write_table(folder / "results/evaluation.parquet", EVALUATED, rows)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs that differ in one setting, and are as good as each other."""
    monkeypatch.chdir(tmp_path)
    for name in ("before", "after"):
        folder = tmp_path / name
        changed = SETTINGS if name == "before" else SETTINGS | {"training": SETTINGS["training"] | {"iterations": 300}}
        record(folder, "results/models/re/weights.safetensors", "train", changed, CODE, "0 unfinished attempts")
        record(folder, "results/detections/part.parquet", "detect_faces", {"videos": "abc"}, CODE)
        write_scores(folder, 0.0)
        losses = {"iteration": range(1, 101), "loss": np.linspace(0.7, 0.5 if name == "before" else 0.4, 100)}
        metrics = losses | {"learning_rate": [0.1] * 100, "gradient_norm": [1.0] * 100}
        write_table(folder / "results/models/re/metrics.parquet", METRICS, metrics)
        measured = [Measurement(50, "plain", 8, 0.6, 0.7), Measurement(100, "plain", 8, 0.55, 0.8)]
        write_table(folder / "results/models/re/validation.parquet", VALIDATION, measured)
    return tmp_path


def told(capsys, *arguments):
    assert main(["compare", "before", "after", *arguments]) == 0
    return capsys.readouterr().out


def test_settings_measures_and_trainings(runs, capsys):
    said = told(capsys)
    assert said.startswith("A  before\nB  after\n\nSettings that differ (A → B):\n  training.iterations: 240 → 300\n")
    assert "Code: the same.\nData: the same.\n" in said
    assert "Metrics on 40 test videos of 8 sources:" in said
    rows = [line.split() for line in said.splitlines()]
    assert next(row for row in rows if row[-3:] == ["0.0000", "to", "0.0000"])[:2] == ["ensemble", "log_loss"]
    assert "Metrics on validation clips: not in both runs." in said
    assert ["re", "0.5091", "0.4136", "0.5500", "0.5500"] in rows


def test_code_and_data_that_differ(runs, capsys):
    record(runs / "after", "results/detections/part.parquet", "detect_faces", {"videos": "xyz"}, CODE)
    changed = CODE | {"dfdc.data.seeding": "9"}
    record(runs / "after", "results/models/re/weights.safetensors", "train", SETTINGS, changed)
    said = told(capsys)
    assert "Settings: the same." in said
    assert "Code that differs: dfdc.data.seeding." in said
    assert "Made of other data or weights: results/detections/part.parquet." in said


def test_results_that_are_gone_do_not_count(runs, capsys):
    (runs / "after/results/models/re/weights.safetensors").unlink()
    assert "training.iterations: 240 → -" in told(capsys)


def test_a_worse_run_is_told_from_a_different_choice_of_videos(runs, capsys):
    write_scores(runs / "after", 0.15, range(4, 48))
    said = told(capsys)
    assert "Metrics on 36 test videos of 8 sources (4 more only in A and 8 more only in B):" in said
    (row,) = [line for line in said.splitlines() if line.split()[:2] == ["ensemble", "log_loss"]]
    difference, low, _, high = row.split()[-4:]
    assert 0 < float(low) < float(difference) < float(high)


def test_a_picture_of_the_trainings(runs, capsys):
    assert told(capsys, "--figure", "both.svg").endswith("The training curves of both: both.svg\n")
    assert (runs / "both.svg").read_text().startswith("<?xml")


def test_mistakes_of_the_user(runs, capsys):
    assert main(["compare", "before", "absent"]) == 2
    assert "absent is not the folder of a run" in capsys.readouterr().err
    assert main(["compare", "before", "after", "--figure", "both.png"]) == 2
    assert "--figure writes .svg files, but both.png is not one" in capsys.readouterr().err


def test_without_records_the_rest_is_told(runs, capsys):
    for path in (runs / "after" / METADATA).iterdir():
        path.write_text("{")
    said = told(capsys)
    assert "Snakemake's records of after are missing" in said
    assert "Metrics on 40 test videos" in said


def test_intervals_of_differences_are_paired():
    rng = np.random.default_rng(0)
    labels, sources = np.arange(60) % 2, [str(n // 6) for n in range(60)]
    first = np.clip(0.5 + 0.3 * (labels - 0.5) + rng.normal(0, 0.2, 60), 0.01, 0.99)
    assert set(map(tuple, intervals_of_differences(labels, first, first, sources).values())) == {(0.0, 0.0)}
    second = np.clip(first + 0.05 * (2 * labels - 1), 0.001, 0.999)
    limits = intervals_of_differences(labels, first, second, sources)
    alone = [intervals(labels, scores, sources) for scores in (first, second)]
    gain = measure(labels, second)["log_loss"] - measure(labels, first)["log_loss"]
    low, high = limits["log_loss"]
    assert low < gain < high < 0
    assert alone[1]["log_loss"][1] > alone[0]["log_loss"][0]  # their own intervals overlap
    assert intervals_of_differences(labels, first, second, ["one"] * 60) == dict.fromkeys(MEASURES)
