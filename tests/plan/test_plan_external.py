"""Further sets of labelled videos: what is planned for them, and what they come out as."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml

from dfdc.cli.main import main
from dfdc.config.reading import merged
from dfdc.data.schemas.evaluation import EVALUATED
from dfdc.data.tables import read_table

STAGES = ("detect_test_faces", "track_test_faces", "crop_test_faces")


def external(**sets):
    return {"data": {"external": {name: {"videos": where, "labels": f"{where}.csv"} for name, where in sets.items()}}}


def jobs(world, name, shards=("0", "1")):
    """All jobs of a set, or those that follow on some shards."""
    planned = [f"{stage} {name}/{shard}" for stage in STAGES for shard in shards]
    planned += [f"score {model} {name}/{shard}" for model in world.model for shard in shards]
    return sorted([*planned, f"evaluate_external {name}"])


@pytest.fixture
def others(project, tmp_path):
    """The settings of a set that was imported: a real and a fake test video, with labels."""
    with (project.demo / "data/test_labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [next(row for row in rows if row["label"] == label) for label in "01"]
    for row in chosen:
        shutil.copy(project.demo / "data/test_videos" / row["filename"], tmp_path)
    lines = ["filename,label,method", *(f"{row['filename']},{row['label']},{row['method']}" for row in chosen)]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    assert main(["import", "dfdc-test", str(tmp_path), str(tmp_path / "imported"), "--name", "others"]) == 0
    return yaml.safe_load((tmp_path / "imported/others_test.yaml").read_text())


def test_each_set_passes_through_the_stages_of_the_test_videos(project, world, others):
    project.write("demo/data/more.csv", b"filename,label\na.mp4,1\n")
    project.write("demo/data/more/a.mp4", b"no video")
    settings = merged(others, external(more="more"))
    assert project.plan(settings=settings) == sorted([*jobs(world, "others"), *jobs(world, "more")])
    target = "results/external/others/evaluation.json"
    assert project.plan(target, settings=settings) == jobs(world, "others")
    assert project.plan("submission.csv", settings=settings) == []


def test_a_set_that_the_settings_do_not_name(project):
    done = project.dry_run("results/external/others/evaluation.json")
    assert done.returncode == 1
    assert "MissingRuleException" in done.stdout


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"videos": "nowhere", "labels": "test_labels.csv"},
            "nowhere (data.external.others.videos in the config) does not",
        ),
        (
            {"videos": "test_videos", "labels": "nowhere.csv"},
            "nowhere.csv (data.external.others.labels in the config) does",
        ),
        ({"videos": "test_videos", "labels": "test_labels.json"}, "test_labels.json (data.external.others.labels in"),
        ({"videos": "test_videos"}, "data.external.others: the key 'labels' is missing"),
    ],
)
def test_a_set_that_is_not_there(project, settings, said):
    project.write("demo/data/test_labels.json", b'{"x.mp4": {"label": "REAL"}}')
    done = project.dry_run(settings={"data": {"external": {"others": settings}}}, own_data=True)
    assert done.returncode == 1
    assert said in done.stdout
    assert "Traceback" not in done.stdout


def test_a_set_is_evaluated(project, others):
    """With one model (whose frames decide about the recompressed clips) and one shard: a fraction of the jobs."""
    settings = merged(others, {"models": {"large_crop": None, "re": None}, "prediction": {"shards": 1}})
    target = "results/external/others/evaluation.json"
    planned = [f"{stage} others/0" for stage in STAGES]
    assert project.plan(target, settings=settings) == sorted(
        [*planned, "score seq others/0", "evaluate_external others"]
    )
    done = project.snakemake(target, settings=settings)
    assert done.returncode == 0, done.stdout
    evaluation = json.loads((project.demo / target).read_text())
    assert evaluation["ensemble"]["videos"] == 2
    assert 0 <= evaluation["ensemble"]["equal_error_rate"] <= 1
    assert list(evaluation["models"]) == ["seq"]
    assert len(evaluation["groups"]["method"]) == 1
    # The scores are those that the same model has given the same videos among the test videos.
    scores = read_table(project.demo / "results/external/others/evaluation.parquet", EVALUATED).to_pylist()
    tested = read_table(project.demo / "results/evaluation.parquet", EVALUATED).to_pylist()
    expected = {row["video"]: row["score"] for row in tested if row["models"] == "seq"}
    assert len(scores) == 2 * 2  # by the model and by the ensemble, which is the same
    assert all(row["score"] == expected[row["video"]] for row in scores)
    assert project.plan(target, settings=settings) == []
    labels = Path(others["data"]["external"]["others"]["labels"])
    labels.write_text(f"{labels.read_text()}c.mp4,1,,\n")
    assert project.plan(target, settings=settings) == ["evaluate_external others"]
