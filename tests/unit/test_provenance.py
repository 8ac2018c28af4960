import ast
import subprocess
import sys
from pathlib import Path

import pytest

from dfdc.networks.settings import FAMILIES
from dfdc.stages.faces.detection.settings import DETECTORS
from dfdc.system.jobs.provenance import LIBRARY, NOT_HASHED, code_of, imports, syntax_hash

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
        "import sys; from pathlib import Path; from dfdc.system.jobs.provenance import syntax_hash;"
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
        ("import dfdc.data.seeding", {"__init__.py", "data/__init__.py", "data/seeding.py"}),
        ("import dfdc.data.seeding as t, json", {"__init__.py", "data/__init__.py", "data/seeding.py"}),
        ("from dfdc import data, video as v", {"__init__.py", "data/__init__.py", "video/__init__.py"}),
        ("from dfdc.data.seeding import generator", {"__init__.py", "data/__init__.py", "data/seeding.py"}),
        ("from dfdc.video import boxes", {"__init__.py", "video/__init__.py", "video/boxes.py"}),
        ("import dfdc.video.boxes", {"__init__.py", "video/__init__.py", "video/boxes.py"}),
        ("def f():\n    if True:\n        from dfdc import data", {"__init__.py", "data/__init__.py"}),
        ("import json, dfdcx, os.path\nfrom x.dfdc import y", set()),
    ],
)
def test_imports_of_any_form_are_seen(tmp_path, line, reached):
    path = tmp_path / "script.py"
    path.write_text(line)
    assert imports(path) == {LIBRARY / name for name in reached}


def test_what_is_imported_is_followed(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from dfdc.stages.faces.detection.detect import detect_faces\n")
    code = code_of(path)
    assert list(code) == sorted(code)
    assert code["mine.py"] == syntax_hash(path)
    assert {
        "dfdc",
        "dfdc.stages",
        "dfdc.stages.faces.detection",
        "dfdc.stages.faces.detection.videos",
        "dfdc.video.reading",
    } <= set(code)
    assert not {"dfdc.stages.training.trainer", "dfdc.stages.clips.cutting"} & set(code)
    assert code["dfdc.video.reading"] == syntax_hash(LIBRARY / "video" / "reading.py")


DETECT = {
    *("stages.faces.detection.detect", "stages.faces.detection.videos", "stages.faces.detection.batches"),
    *("stages.faces.detection.detectors", "video.reading", "data.parts", "data.tables", "data.schemas.videos"),
}
VIDEO = {"video.reading", "video.selective", "video.upright", "video.boxes"}
NETWORK = {"networks.families", "networks.inputs", "networks.precision", "networks.weights.load"}
NEEDED = {
    "make_demo_data": {"demo.dataset", "demo.fakes", "demo.sources", "demo.encoding", "data.seeding"},
    "detect_faces": DETECT,
    "build_tracks": {"stages.faces.tracking", "data.tables", "data.schemas.tracks", "video.boxes"},
    "align_tracks": {"stages.faces.alignment", "data.schemas.alignment", "data.schemas.tracks"},
    "extract_clips": {
        "stages.clips.cutting",
        "stages.clips.differences",
        "data.pictures.writing",
        "data.pictures.encoding",
        "data.seeding",
        *VIDEO,
    },
    "pair_clips": {"stages.clips.pairs", "data.schemas.pairs"},
    "recompress_clips": {
        *("stages.clips.recompressing", "stages.clips.reading", "video.recompression", "data.schemas.pairs"),
        *("data.pictures.store", "data.pictures.writing", "data.seeding"),
    },
    "convert_pretrained": {"networks.weights.pretrained", "networks.weights.tensorflow", "networks.families"},
    "train": {
        *("stages.training.trainer", "stages.training.samples", "stages.training.loading", "stages.training.curves"),
        *("stages.training.checkpoint", "stages.training.averaging"),
        *("stages.training.distributed", "stages.training.validation"),
        *(f"stages.training.augment.{name}" for name in ("pair", "autoaugment", "erasing", "transform", "mixup")),
        *(
            "stages.clips.reading",
            "stages.clips.variants",
            "stages.evaluation.metrics",
            "video.recompression",
            "data.pictures.store",
            "config.canonical",
        ),
        *NETWORK,
    },
    "export_pth": {"networks.weights.load", "networks.weights.files", "networks.families"},
    "release_weights": {"networks.weights.release", "stages.evaluation.released"},
    "export_weights": {"networks.weights.export", "networks.weights.files", "networks.families"},
    "detect_test_faces": DETECT,
    "track_test_faces": {"stages.faces.tracking", "data.tables"},
    "crop_test_faces": {"stages.prediction.crops", "data.pictures.writing", "data.schemas.tracks", *VIDEO},
    "score": {"stages.prediction.scorer", "data.pictures.store", *NETWORK},
    "submission": {"stages.prediction.ensemble", "data.tables"},
    "evaluate": {
        "stages.evaluation.report",
        "stages.evaluation.intervals",
        "stages.prediction.ensemble",
        "data.labels",
    },
    "evaluate_external": {"stages.evaluation.report", "stages.prediction.ensemble", "data.labels"},
    "draw_data_figures": {"figures.data", "figures.style", "data.tables"},
    "draw_test_data_figures": {"figures.data", "figures.style", "data.tables"},
    "draw_sample_figures": {
        *("figures.samples", "figures.pictures", "stages.training.samples", "networks.inputs", "video.recompression"),
    },
    "draw_training_figures": {"figures.training", "figures.style", "data.tables"},
    "draw_validation_figures": {"figures.validation", "figures.style", "stages.evaluation.intervals"},
    "draw_score_figures": {"figures.scores", "figures.pictures", "stages.prediction.ensemble", "data.pictures.store"},
    "score_validation_clips": {
        *(
            "stages.evaluation.validation_clips",
            "stages.prediction.scorer",
            "stages.prediction.sharpness",
            "stages.prediction.yaw",
            "stages.clips.reading",
            "data.pictures.store",
        ),
        *("video.recompression", *NETWORK),
    },
    "evaluate_validation": {
        *("stages.evaluation.validation_report", "stages.evaluation.report", "stages.evaluation.calibration"),
        "data.parts",
    },
}


def test_every_script_is_known_here():
    assert {path.stem for path in SCRIPTS} == set(NEEDED)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_code_of_a_script_holds_what_it_needs(script):
    code = code_of(script)
    assert script.name in code
    assert {f"dfdc.{name}" for name in NEEDED[script.stem]} <= set(code)
    # What decides no byte of a result concerns nobody.
    assert not [name for name in code if name.startswith("dfdc.system") or name.endswith("tensorboard")]
    # What takes days is not to be done again for what it does not need.
    for module, users in CONCERNS.items():
        assert script.stem in users or not any(f"{name}.".startswith(f"dfdc.{module}.") for name in code)


# Modules and packages, and the only rules that may depend on them.
CONCERNS = {
    "stages.training.trainer": {"train"},
    "stages.training.augment": {"train", "draw_sample_figures"},
    "stages.faces.detection": {"detect_faces", "detect_test_faces", "score_validation_clips"},
    "stages.faces.detection.detect": {"detect_faces", "detect_test_faces"},
    "stages.faces.detection.dsfd": set(),
    "stages.faces.detection.yunet": {"score_validation_clips"},  # it finds eyes and noses
    "stages.faces.tracking": {"build_tracks", "track_test_faces"},
    "stages.faces.settings.tracking": {"build_tracks", "track_test_faces"},
    "stages.faces.settings.alignment": {"align_tracks"},
    "stages.clips.cutting": {"extract_clips"},
    "stages.clips.settings.cutting": {"extract_clips"},
    "stages.clips.pairs": {"pair_clips"},
    "stages.clips.settings.pairs": {"pair_clips"},
    "stages.clips.recompressing": {"recompress_clips"},
    "stages.clips.variants": {"train", "draw_sample_figures"},
    "stages.prediction.settings.crops": {"crop_test_faces"},
    "stages.evaluation.settings": set(),
    "stages.training.settings": {"train"},
    "networks.weights.tensorflow": {"convert_pretrained"},
    "data.schemas.evaluation": {"evaluate", "evaluate_external", "evaluate_validation", "draw_validation_figures"},
    "demo": {"make_demo_data"},
    # Whoever makes pictures does not depend on how they are read.
    "data.pictures.encoding": {"extract_clips", "crop_test_faces"},
    "data.pictures.decoding": {
        *("recompress_clips", "train", "score", "score_validation_clips", "draw_sample_figures", "draw_score_figures"),
    },
}


def test_the_code_of_the_detector_that_is_named_is_code_of_the_rule():
    script = ROOT / "workflow" / "scripts" / "detect_faces.py"
    for name, other in (("dsfd", "yunet"), ("yunet", "dsfd")):
        added = set(code_of(script, DETECTORS[name])) - set(code_of(script))
        assert DETECTORS[name] in added
        assert not [module for module in added if f".{other}" in module]


def test_the_code_of_the_family_of_networks_that_is_named_is_code_of_the_rule():
    script = ROOT / "workflow" / "scripts" / "score.py"
    for name, other in (("efficientnet", "timm"), ("timm", "efficientnet")):
        code = code_of(script, FAMILIES[name])
        assert FAMILIES[name] in code
        assert FAMILIES[other] not in code


@pytest.mark.parametrize(
    ("text", "other", "same"),
    [
        ("raise UserError(f'no {x}')", "raise UserError(f'where is {x}?', x)", True),
        ("raise UserError('no') from e", "raise UserError('never') from e", True),
        ("raise VideoError('no frame')", "raise VideoError('no picture')", False),
        ("raise UserError('no')", "raise ValueError('no')", False),
        ("raise error", "raise other", False),
        ("logger.info(f'{x} pairs')", "logger.warning('pairs', x)", True),
        ("logger.info('pairs')", "", True),
        ("log('pairs')", "log('clips')", False),
    ],
)
def test_words_for_people_are_no_code(tmp_path, text, other, same):
    paths = tmp_path / "a.py", tmp_path / "b.py"
    for path, line in zip(paths, (text, other), strict=True):
        path.write_text(f"def f(x):\n    g(x)\n    {line}\n")
    first, second = map(syntax_hash, paths)
    assert (first == second) is same


def test_what_settings_refuse_is_no_code(hashed):
    text = "class A:\n    x: int\n"
    method = "    def {}(self):\n        yield 'x', 'must be less'\n"
    assert hashed(text + method.format("contradictions")) == hashed(text)
    assert hashed(text + method.format("others")) != hashed(text)


def test_no_script_reaches_the_settings_of_all_stages():
    for script in SCRIPTS:
        assert not {"dfdc.config.settings", "dfdc.config.check", "dfdc.config.words"} & set(code_of(script)), script


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
    imported = {name for name in done.stdout.split() if not f"{name}.".startswith(tuple(f"{n}." for n in NOT_HASHED))}
    assert imported <= set(code_of(script, FAMILIES["efficientnet"]))


def test_the_library_has_no_imports_that_cannot_be_seen():
    for path in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: a relative import"
            assert not (isinstance(node, ast.Name) and node.id == "__import__"), path
            assert not (isinstance(node, ast.Attribute) and node.attr == "import_module"), path
