"""Results that are accepted after a harmless change of code."""

import json

import pytest

from dfdc.cli.main import main as dfdc


@pytest.fixture
def project(finished_run, tmp_path):
    """A finished run in which the code of the tracker has changed."""
    project = finished_run.copy(tmp_path / "copy")
    path = "lib/dfdc/stages/faces/tracking.py"
    project.write(path, (project.folder / path).read_bytes() + b"\nADDED = 1\n")
    return project


def files(project):
    found = [path for path in (project.demo / "results").rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in found if path.name != "accepted.jsonl"}


def test_results_are_accepted_as_they_are(project, capsys):
    before = files(project)
    assert project.accept(status=1, words=()).endswith("Nothing was accepted.\n")  # nobody there to say yes
    said = project.accept()
    assert "track_test_faces: results/test/tracks/0.parquet, results/test/tracks/1.parquet" in said
    assert "Changed since they were made: dfdc.stages.faces.tracking\n" in said
    assert project.plan() == []
    assert files(project) == before
    entries = [json.loads(line) for line in (project.demo / "results/accepted.jsonl").read_text().splitlines()]
    assert sorted(entry["rule"] for entry in entries) == ["build_tracks"] * 2 + ["track_test_faces"] * 2
    assert list(entries[0]["code"]) == ["dfdc.stages.faces.tracking"]
    assert dfdc(["inspect", str(project.demo / "results/test/tracks/0.parquet")]) == 0
    assert "after a change of code: dfdc.stages.faces.tracking (make accept)" in capsys.readouterr().out
    assert dfdc(["inspect", str(project.demo / "results/test/scores/re/0.parquet")]) == 0
    assert "Accepted on" not in capsys.readouterr().out
    assert "Nothing to accept" in project.accept(status=1)


def test_what_would_run_for_another_reason_still_does(project, world):
    project.remove("demo/results/evaluation.json")
    settings = {"tracking": {"train": {"sigma_h": 0.8}}, "prediction": {"frame_every": 3}}
    said = project.accept(settings=settings)
    assert "build_tracks" not in said
    assert "Accepted: 2 jobs" in said
    assert project.plan(settings=settings) == world.after("build_tracks", "crop_test_faces")
