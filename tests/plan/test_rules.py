"""The rules as Snakemake reads them, and the graph that they make."""

import ast
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from parsed import parsed_rules
from snakemake.io import is_flagged, strip_wildcard_constraints

from dfdc.data import parts

ROOT = Path(__file__).resolve().parents[2]
# Rules that no other needs.
ON_DEMAND = {"export_pth": ("model", ""), "evaluate_external": ("external", "")}
# A set of videos for the second of them.
OTHERS = {"data": {"external": {"others": {"videos": "test_videos", "labels": "test_labels.csv"}}}}
# Edges whose files are ancient: their readers do not run again, but never before them.
ANCIENT = {("make_demo_data", "extract_clips"), ("make_demo_data", "crop_test_faces")}


@pytest.fixture(scope="module")
def rules():
    return parsed_rules()


def test_each_rule_has_its_script(rules):
    for rule in rules:
        assert (ROOT / "rules" / rule.script).resolve() == ROOT / "workflow" / "scripts" / f"{rule.name}.py"
    assert {rule.name for rule in rules} == {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}


def test_each_rule_has_a_log_and_a_benchmark_for_every_job(rules, graph):
    wildcards = {rule: names for rule, (names, _) in {**graph, **ON_DEMAND}.items()}
    assert {rule.name for rule in rules} == set(wildcards)
    for rule in rules:
        place = "/".join([rule.name, *(f"{{{name}}}" for name in wildcards[rule.name].split())])
        assert [strip_wildcard_constraints(path) for path in rule.log] == [f"logs/{place}.log"]
        assert strip_wildcard_constraints(rule.benchmark) == f"benchmark/{place}.tsv"


def test_each_rule_has_its_own_code_among_its_parameters(rules):
    wildcards = SimpleNamespace(model="re", architecture="efficientnet-lite0")
    for rule in rules:
        code = rule.params.code(wildcards)
        assert [name for name in code if name.endswith(".py")] == [f"{rule.name}.py"]
        # The demo's detector is imported by name alone; it also finds eyes and noses.
        runs_it = rule.name in ("detect_faces", "detect_test_faces", "score_validation_clips")
        assert ("dfdc.stages.faces.detection.yunet" in code) == runs_it
        assert rule.params.unfinished([]) == "0 unfinished attempts"


def test_each_parameter_holds_the_names_of_its_values(finished_run):
    """Snakemake compares the parameters of a job as a set without names: a swap of two bare numbers is not seen."""
    for record in (finished_run.demo / ".snakemake/metadata").iterdir():
        about = json.loads(record.read_text())
        bare = [value for value in about["params"] if not isinstance(ast.literal_eval(value), dict)]
        assert bare == ["'0 unfinished attempts'"], about["rule"]


def test_the_test_videos_are_listed_once_for_all_shards(rules, tmp_path, monkeypatch):
    """Once for each shard would take as many times as long."""
    (tmp_path / "data/test_videos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    listed = []
    monkeypatch.setattr(parts, "test_videos", lambda folder: listed.append(folder) or [])
    (rule,) = (rule for rule in rules if rule.name == "detect_test_faces")
    for shard in "01":
        assert rule.params.videos(SimpleNamespace(shard=shard))
    assert listed == [Path("data/test_videos")]


def test_what_is_made_is_kept(rules):
    for rule in rules:
        assert not [path for path in rule.output if is_flagged(path, "temp") or is_flagged(path, "touch")]


def test_each_job_asks_for_memory_and_time_and_for_more_when_it_is_tried_again(project, rules):
    targets = ("all", "results/models/re/weights.fp16.pth", "--forceall")
    first, third = (
        {
            job: (int(asked["mem_mb"]), int(asked["runtime"]))
            for job, asked in project.resources(*targets, "--attempt", attempt, settings=OTHERS).items()
        }
        for attempt in ("1", "3")
    )
    assert {job.split()[0] for job in first} == {rule.name for rule in rules}
    assert third == {job: (3 * memory, 3 * minutes) for job, (memory, minutes) in first.items()}


def test_rulegraph(project, graph):
    printed = project.snakemake("--rulegraph", "--forceall").stdout
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', printed))
    edges = {(names[start], names[end]) for start, end in re.findall(r"(\d+) -> (\d+)", printed)}
    wanted = {(rule, reader) for rule, (_, readers) in graph.items() for reader in readers.split()} | ANCIENT
    assert {(rule, reader) for rule, reader in edges if reader != "all"} == wanted
    figures = {rule for rule in graph if rule.endswith("_figures")}
    wanted = {"evaluate", "evaluate_validation", "release_weights", "submission"} | figures
    assert {rule for rule, reader in edges if reader == "all"} == wanted
