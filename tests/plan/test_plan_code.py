"""Changes of code: what would run again."""

import ast
import json
import random
import re
import time
from pathlib import Path

import pytest

from dfdc.networks.settings import FAMILIES
from dfdc.stages.faces.detection.settings import DETECTORS
from dfdc.system.jobs.provenance import code_of

ROOT = Path(__file__).resolve().parents[2]


def rules_that_use(module, graph):
    return [rule for rule in graph if module in code_of(ROOT / "workflow" / "scripts" / f"{rule}.py")]


def test_nothing_changed(project):
    assert project.plan() == []


def test_every_file_touched(project):
    """As a git checkout or a copy does it: in no order, so that some inputs are newer than what was made of them."""
    files = [
        file
        for folder in ("lib", "rules", "workflow", "profiles", "demo/data", "demo/results")
        for file in sorted((project.folder / folder).rglob("*"))
        if file.is_file()
    ]
    files += [project.folder / name for name in ("Snakefile", "config.yaml", "tests/tiny.yaml", "demo/submission.csv")]
    random.Random(0).shuffle(files)
    now = time.time()
    for seconds, file in enumerate(files):
        project.touch(str(file.relative_to(project.folder)), now - len(files) + seconds)
    assert project.plan() == []


def test_comment_docstring_and_format(project):
    path = "lib/dfdc/stages/faces/tracking.py"
    text = (project.folder / path).read_text()
    head, docstring, rest = text.split('"""', 2)
    assert not head
    assert docstring
    project.write(path, f'"""Another docstring."""\n\n# A comment.\n{rest}\n\n\n'.encode())
    assert project.plan() == []


def test_docstring_of_a_function_added(project):
    path = "lib/dfdc/data/seeding.py"
    project.write(path, (project.folder / path).read_bytes() + b"\n\ndef _unused():\n    return 1\n")
    with_function = project.plan()
    assert with_function
    project.replace(path, "_unused():\n", '_unused():\n    """Nothing."""\n')
    assert project.plan() == with_function


@pytest.mark.parametrize(
    ("module", "some_that_use", "some_that_do_not"),
    [
        (
            "stages.faces.tracking",
            {"build_tracks", "track_test_faces"},
            {"detect_faces", "align_tracks", "crop_test_faces", "train", "score"},
        ),
        ("stages.faces.alignment", {"align_tracks"}, {"build_tracks", "extract_clips", "track_test_faces"}),
        (
            "stages.training.augment.autoaugment",
            {"train", "draw_sample_figures"},
            {"score", "export_weights", "extract_clips", "detect_test_faces"},
        ),
        ("stages.prediction.ensemble", {"submission", "evaluate", "evaluate_validation"}, {"score", "train"}),
        ("stages.evaluation.report", {"evaluate", "evaluate_validation"}, {"submission", "train"}),
        ("stages.evaluation.validation_clips", {"score_validation_clips"}, {"train", "score", "evaluate_validation"}),
        (
            "stages.evaluation.calibration",
            {"evaluate_validation"},
            {"submission", "evaluate", "train", "score_validation_clips"},
        ),
        (
            "stages.evaluation.intervals",
            {"evaluate", "evaluate_validation"},
            {"submission", "train", "score_validation_clips"},
        ),
        ("stages.evaluation.metrics", {"evaluate", "train"}, {"submission"}),
    ],
)
def test_code_of_a_module(project, world, graph, module, some_that_use, some_that_do_not):
    users = rules_that_use(f"dfdc.{module}", graph)
    assert some_that_use <= set(users)
    assert not some_that_do_not & set(users)
    path = f"lib/dfdc/{module.replace('.', '/')}.py"
    project.write(path, (project.folder / path).read_bytes() + b"\nADDED = 1\n")
    assert project.plan() == world.after(*users)


def files_of(modules):
    """The files of modules of the library."""
    paths = [f"lib/{name.replace('.', '/')}" for name in modules]
    return {f"{path}.py" if (ROOT / f"{path}.py").exists() else f"{path}/__init__.py" for path in paths}


def test_every_module_concerns_the_rules_that_the_readme_says(finished_run, graph):
    """By what Snakemake remembers of the jobs: where a module is among the parameters, a change of it is a reason."""
    table = re.findall(r"^\| (`\S+\.py`.*) \| (.+) \|$", (ROOT / "docs/reruns.md").read_text(), re.MULTILINE)
    wanted = {rule: set() for rule in graph}
    for modules, rules in table:
        for rule in graph if rules == "all" else set(re.findall(r"`(\w+)`", rules)) & set(graph):
            wanted[rule] |= {f"lib/dfdc/{module}" for module in re.findall(r"`(\S+)`", modules)}
    # The table has all detectors and families of networks, and the run had one of each.
    for rule in ("detect_faces", "detect_test_faces"):
        dsfd, yunet = (code_of(ROOT / f"workflow/scripts/{rule}.py", DETECTORS[name]) for name in ("dsfd", "yunet"))
        wanted[rule] -= files_of(dsfd.keys() - yunet.keys())
    for rule in ("convert_pretrained", "train", "export_weights", "export_pth", "score", "score_validation_clips"):
        script = ROOT / f"workflow/scripts/{rule}.py"
        timm, used = (code_of(script, FAMILIES[name]) for name in ("timm", "efficientnet"))
        if rule in wanted:
            wanted[rule] -= files_of(timm.keys() - used.keys())
    found = {}
    for record in (finished_run.demo / ".snakemake/metadata").iterdir():
        about = json.loads(record.read_text())
        (code,) = (ast.literal_eval(value) for value in about["params"] if "'dfdc': " in value)
        files = files_of(name for name in code if not name.endswith(".py"))
        assert found.setdefault(about["rule"], files) == files
    assert found == wanted


def test_a_message_reworded(project):
    """Of code that decides no byte of a result, and of exceptions and the log in code that does."""
    path = "lib/dfdc/system/jobs/leases.py"
    text = (project.folder / path).read_text()
    assert 'f"GPUs: ' in text
    project.write(path, text.replace('f"GPUs: ', 'f"the GPUs of this job: ').encode())
    project.replace("lib/dfdc/data/tables.py", "cannot be read as a table", "is no table")
    project.replace("lib/dfdc/stages/clips/pairs.py", "left out: they", "dropped: they")
    assert project.plan() == []


def test_a_column_added_to_the_table_of_the_evaluation(project, world):
    project.replace(
        "lib/dfdc/data/schemas/evaluation.py",
        '        column("score",',
        '        column("more", pa.int32(), "another column"),\n        column("score",',
    )
    assert project.plan() == world.after("evaluate", "evaluate_validation", "draw_validation_figures")


@pytest.mark.parametrize("module", ["boxes", "detector", "network", "weights"])
def test_code_of_a_detector_that_is_not_used(project, module):
    path = f"lib/dfdc/stages/faces/detection/dsfd/{module}.py"
    project.write(path, (project.folder / path).read_bytes() + b"\nADDED = 1\n")
    assert project.plan() == []


def test_code_of_the_detector_that_is_used(project, world):
    path = "lib/dfdc/stages/faces/detection/yunet.py"
    project.write(path, (project.folder / path).read_bytes() + b"\nADDED = 1\n")
    assert project.plan() == world.after("detect_faces", "detect_test_faces")


def test_code_of_a_script(project, world):
    project.replace("workflow/scripts/submission.py", "videos = [", "assert snakemake\n    videos = [")
    assert project.plan() == world.after("submission")


def test_new_version_of_the_library(project, world, graph):
    """Every script imports the package, so a statement in it concerns all of them."""
    path = "lib/dfdc/__init__.py"
    project.write(path, (project.folder / path).read_bytes() + b"\nADDED = 1\n")
    assert project.plan() == world.after(*graph)


def test_without_the_hash_of_the_code_nothing_is_noticed(project):
    """The tests above can fail: without the parameter `code` a change of code is not seen."""
    targets = [f"results/tracks/dfdc_train_part_{part}.parquet" for part in (0, 1)]
    jobs = [f"build_tracks dfdc_train_part_{part}" for part in (0, 1)]
    project.replace("rules/faces.smk", '        **shared("build_tracks"),\n', "")
    done = project.snakemake(*targets)
    assert done.returncode == 0, done.stdout
    assert project.plan(*targets) == []
    path = "lib/dfdc/stages/faces/tracking.py"
    project.write(path, (project.folder / path).read_bytes() + b"\nADDED = 1\n")
    assert project.plan(*targets) == []
    project.write("rules/faces.smk", (ROOT / "rules/faces.smk").read_bytes())
    assert project.plan(*targets) == jobs
