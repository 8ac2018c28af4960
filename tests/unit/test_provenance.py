import ast
import subprocess
import sys
from pathlib import Path

import pytest

from dfdc.provenance import LIBRARY, code_of, imports, syntax_hash

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))

CODE = '''"""What it is."""
import os


class A:
    """A class."""

    size = 3
    """The size of it."""

    def f(self, x):
        """A method."""
        return x + self.size  # three


async def g():
    """Wait."""
    return "a string that counts"
'''
SAME = '''# A licence.
import os
class A:
    # no docstring here
    size = (3)
    def f(self,
          x):
        """Another docstring,

        over several lines."""
        "and a string that stands alone"
        return (x
                + self.size)



async def g(): return 'a string that counts'
'''
OTHER = {
    "a number": ("size = 3", "size = 4"),
    "a string": ("that counts", "which counts"),
    "a name": ("def f", "def h"),
    "an operator": ("x + self", "x - self"),
    "an import": ("import os", "import sys"),
    "a decorator": ("    def f", "    @staticmethod\n    def f"),
    "a default": ("self, x)", "self, x=1)"),
    "a statement": ("async def g():", "async def g():\n    print()"),
}


@pytest.fixture
def hashed(tmp_path):
    made = []

    def hash_of(text):
        made.append(tmp_path / f"{len(made)}.py")
        made[-1].write_text(text)
        return syntax_hash(made[-1])

    return hash_of


def test_documentation_and_formatting_cost_nothing(hashed):
    assert hashed(CODE) == hashed(SAME)
    assert hashed('def f():\n    """Only this."""\n') == hashed('def f():\n    """Only that."""\n')


@pytest.mark.parametrize("change", OTHER)
def test_code_counts(hashed, change):
    before, after = OTHER[change]
    assert CODE.count(before) == 1
    assert hashed(CODE.replace(before, after)) != hashed(CODE)


def test_a_hash_is_the_same_in_another_process(tmp_path):
    (tmp_path / "a.py").write_text(CODE)
    program = (
        "import sys; from pathlib import Path; from dfdc.provenance import syntax_hash;"
        "print(syntax_hash(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.py")],
        env={"PYTHONPATH": str(LIBRARY.parent), "PYTHONHASHSEED": "5"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == syntax_hash(tmp_path / "a.py")


@pytest.mark.parametrize(
    ("line", "reached"),
    [
        ("import dfdc.tracking", {"__init__.py", "tracking.py"}),
        ("import dfdc.tracking as t, json", {"__init__.py", "tracking.py"}),
        ("from dfdc import tracking, store as s", {"__init__.py", "tracking.py", "store.py"}),
        ("from dfdc.tracking import iou", {"__init__.py", "tracking.py"}),
        ("from dfdc.detection import yunet", {"__init__.py", "detection/__init__.py", "detection/yunet.py"}),
        ("import dfdc.detection", {"__init__.py", "detection/__init__.py"}),
        ("def f():\n    if True:\n        from dfdc import log", {"__init__.py", "log.py"}),
        ("import json, dfdcx, os.path\nfrom x.dfdc import y", set()),
    ],
)
def test_imports_of_any_form_are_seen(tmp_path, line, reached):
    path = tmp_path / "script.py"
    path.write_text(line)
    assert imports(path) == {LIBRARY / name for name in reached}


def test_what_is_imported_is_followed(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from dfdc.detection import detect_faces\n")
    code = code_of(path)
    assert list(code) == sorted(code)
    assert code["mine.py"] == syntax_hash(path)
    # Detectors are imported inside functions, DSFD is a package in a package.
    assert {"dfdc", "dfdc.detection", "dfdc.detection.yunet", "dfdc.detection.dsfd.network", "dfdc.video"} <= set(code)
    assert not {"dfdc.training", "dfdc.clips"} & set(code)
    assert code["dfdc.video"] == syntax_hash(LIBRARY / "video.py")


NEEDED = {
    "make_demo_data": {"demo", "demo.dataset", "demo.fakes", "demo.sources", "demo.encoding", "draws"},
    "detect_faces": {
        "detection",
        "detection.yunet",
        "detection.dsfd.detector",
        "detection.videos",
        "detection.batches",
        "video",
        "parallel",
        "layout",
        "tables",
    },
    "build_tracks": {"tracking", "tables"},
    "align_tracks": {"alignment", "tracking", "tables"},
    "extract_clips": {"clips", "video", "selective", "upright", "store", "draws", "files"},
    "pair_clips": {"pairs", "tables"},
    "convert_pretrained": {"weights", "weights.tensorflow_checkpoint", "weights.timm_names", "models"},
    "train": {
        *("training", "dataset", "checkpoint", "models", "recompression", "store", "weights", "draws", "settings"),
        *("validation", "metrics", "records", "distributed", "gpus", "leases"),
        *("augment", "augment.pair", "augment.autoaugment", "augment.erasing", "augment.transform", "augment.device"),
    },
    "export_pth": {"weights", "weights.files", "models"},
    "export_weights": {"export", "weights", "weights.files", "models"},
    "detect_test_faces": {"detection", "detection.yunet", "detection.dsfd.detector", "video", "layout"},
    "track_test_faces": {"tracking", "tables"},
    "crop_test_faces": {"crops", "clips", "video", "selective", "upright", "store", "tracking"},
    "score": {"gpus", "leases", "inference", "models", "weights", "augment.transform", "augment.device", "store"},
    "submission": {"ensemble", "tables"},
    "evaluate": {"evaluation", "measures", "metrics", "ensemble", "labels", "layout"},
    "draw_data_figures": {"figures.data", "figures.style", "tables"},
    "draw_test_data_figures": {"figures.data", "figures.style", "tables"},
    "draw_sample_figures": {
        "figures.samples",
        "figures.pictures",
        "dataset",
        "augment.device",
        "recompression",
        "draws",
    },
    "draw_training_figures": {"figures.training", "figures.style", "tables"},
    "draw_held_out_figures": {"figures.held_out", "figures.style", "measures", "tables"},
    "draw_score_figures": {"figures.scores", "figures.pictures", "ensemble", "measures", "metrics", "store", "layout"},
    "score_held_out": {"held_out", "inference", "recompression", "validation", "store", "dataset", "gpus", "models"},
    "evaluate_held_out": {"held_out_evaluation", "evaluation", "calibration", "measures", "ensemble", "layout"},
}


def test_every_script_is_known_here():
    assert {path.stem for path in SCRIPTS} == set(NEEDED)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_code_of_a_script_holds_what_it_needs(script):
    code = code_of(script)
    assert script.name in code
    assert {f"dfdc.{name}" for name in NEEDED[script.stem]} <= set(code)
    # What takes days is not to be done again for what it does not need.
    if script.stem != "train":
        assert "dfdc.training" not in code
    if script.stem in ("detect_faces", "detect_test_faces", "extract_clips", "pair_clips"):
        assert not {"dfdc.models", "dfdc.weights", "dfdc.training"} & set(code)


def test_a_training_does_not_depend_on_how_faces_are_found():
    code = code_of(ROOT / "workflow" / "scripts" / "train.py")
    assert not [
        name for name in code if name.startswith(("dfdc.detection", "dfdc.tracking", "dfdc.demo", "dfdc.clips"))
    ]


def test_what_really_is_imported_is_in_the_hashes():
    # Asked of Python itself, for the script that reaches most.
    program = (
        "import sys, runpy; runpy.run_path(sys.argv[1], run_name='x');"
        "print(*(name for name in sys.modules if name.split('.')[0] == 'dfdc'))"
    )
    script = ROOT / "workflow" / "scripts" / "train.py"
    done = subprocess.run(
        [sys.executable, "-c", program, str(script)],
        env={"PYTHONPATH": str(LIBRARY.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) <= set(code_of(script))


def test_the_library_has_no_imports_that_cannot_be_seen():
    for path in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: a relative import"
            assert not (isinstance(node, ast.Name) and node.id == "__import__"), path
            assert not (isinstance(node, ast.Attribute) and node.attr == "import_module"), path
