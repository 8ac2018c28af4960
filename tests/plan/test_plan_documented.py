"""The table of docs/reruns.md: what it says runs again is what is planned."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The changes of the table, as settings. The other rows have tests of their own, named here.
SETTINGS = {
    "anything below `speed`": {"speed": {"batch_size": 3}},
    "`data.name`": {"data": {"name": "mine"}},
    "`ensemble.exponent`": {"ensemble": {"exponent": 0.5}},
    "`ensemble.calibration`": {"ensemble": {"calibration": "exponent"}},
    "`evaluation`": {"evaluation": {"pairs": 2}},
    "`models.re.score`": {"models": {"re": {"score": {"of": 2, "take": [0]}}}},
    "`models.re.seed`": {"models": {"re": {"seed": 11}}},
    "`prediction.frame_every`": {"prediction": {"frame_every": 3}},
    "`validation.every`, `validation.pairs`": {"validation": {"every": 3}},
    "`pairs.min_difference`, `validation.parts`, `validation.share`, `validation.seed`": {
        "pairs": {"min_difference": 1}
    },
    "`clips.frames`, `clips.per_track`": {"clips": {"frames": 40}},
    "`alignment.min_iou`": {"alignment": {"min_iou": 0.4}},
    "`data.video_timeout`": {"data": {"video_timeout": 500}},
}
TESTED_ELSEWHERE = {
    "a comment, a docstring, `git checkout`, `touch`, the order of keys in the YAML": "test_plan_code.py",
    "another profile with the same settings, another number of GPUs or cores, more memory": "test_plan_profiles.py",
    "the data moved, or a different path to them in `data.root`": "test_plan_data.py",
    "a part added, a training video replaced by one of another size": "test_plan_data.py",
    "a test video added or replaced": "test_plan_data.py",
    "the test labels corrected": "test_plan_data.py",
    "nothing, but a job failed last time": "test_plan_stale.py",
}


def table():
    """{change: what the table says}, where `the same` is what the row above says."""
    text = (ROOT / "docs/reruns.md").read_text().split("besides those that draw figures |\n|---|---|\n")[1]
    rows, last = {}, ""
    for line in text.split("\n\n")[0].splitlines():
        change, rules = line.strip("| ").split(" | ")
        last = rules = rules.replace("the same", last)
        rows[change] = rules
    return rows


def test_every_row_is_tested():
    assert list(table()) == sorted(SETTINGS | TESTED_ELSEWHERE, key=list(table()).index)


@pytest.mark.parametrize("change", SETTINGS)
def test_row(project, change):
    said = table()[change].split("; with a fitted")[0]
    rules = set(re.findall(r"`(\w+_\w+|train|score|evaluate|submission)`", said))
    planned = project.plan(settings=SETTINGS[change])
    assert {job.split()[0] for job in planned if "_figures" not in job} == rules
    if "of `re`" in said:
        models = {job.split()[1] for job in planned if job.split()[0] in ("train", "export_weights", "score")}
        assert models == {"re"}
