import ast
import copy
import io
import os
import re
import subprocess
import sys
import time
import tokenize
from dataclasses import is_dataclass
from functools import reduce
from pathlib import Path

import pytest
from snakemake.utils import update_config

from dfdc.config.check import check_config
from dfdc.config.reading import merged, read_config, read_yaml
from dfdc.config.settings import Config
from dfdc.config.words import in_words, inner_type, types_of
from dfdc.system.errors import UserError

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "lib")}
CONFIG = read_yaml(ROOT / "config.yaml")
ONLY_IN_THE_DEMO = {"demo"}
# Changes, see `changed`: finished weights for every model.
GIVEN = {f"models__{name}__weights": "weights" for name in CONFIG["models"]}


def known_keys(kind=Config, config=CONFIG, place=()):
    """The places of all keys that are declared; where names are free, those of the config."""
    free = config if in_words(kind).startswith("a mapping") else ()
    for key in types_of(kind) if is_dataclass(kind) else free:
        yield (*place, key)
        yield from known_keys(
            inner_type(kind, key), config.get(key, {}) if isinstance(config, dict) else {}, (*place, key)
        )


def present_keys(config, place=()):
    for key, value in config.items():
        yield (*place, key)
        if isinstance(value, dict):
            yield from present_keys(value, (*place, key))


def changed(**changes):
    """config.yaml with some values changed; the places' parts are joined by two underscores."""
    config = copy.deepcopy(CONFIG)
    for place, value in changes.items():
        *folders, key = place.split("__")
        inner = config
        for folder in folders:
            inner = inner[folder]
        inner[key] = value
    return config


def faults(config):
    with pytest.raises(UserError) as refused:
        check_config(config)
    first, *lines = str(refused.value).split("\n")
    assert first == "The configuration is not valid:"
    return [line.removeprefix("  ") for line in lines]


def test_what_comes_along_is_valid():
    check_config(CONFIG)
    demo = merged(CONFIG, read_yaml(ROOT / "profiles" / "demo" / "settings.yaml"))
    check_config(demo)
    check_config(merged(demo, read_yaml(ROOT / "tests" / "tiny.yaml")))


def test_every_declared_key_is_in_the_config_and_no_other():
    known = {place for place in known_keys() if place[0] not in ONLY_IN_THE_DEMO}
    assert known == set(present_keys(CONFIG))
    assert len(known) > 90


@pytest.mark.parametrize("place", [".".join(place) for place in present_keys(CONFIG)])
def test_every_key_must_be_there(place):
    *folders, key = place.split(".")
    config = copy.deepcopy(CONFIG)
    inner = reduce(dict.get, folders, config)
    del inner[key]
    free = folders in (["models"], ["pretrained"])  # names are the user's
    if not free:
        assert f"{'.'.join(folders) or 'the top level'}: the key {key!r} is missing" in faults(config)
    inner[f"{key}x"] = reduce(dict.get, folders, CONFIG)[key]
    if not free:
        assert f"{'.'.join(folders) or 'the top level'}: unknown key '{key}x'; did you mean {key!r}?" in faults(config)


def test_the_page_of_settings_is_up_to_date_and_whole():
    check = [sys.executable, "workflow/settings.py", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| `(.+?)` \| (.+) \| (.+) \| (.*) \|$", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    assert len(rows) > 60
    assert [row for row in rows if min(map(len, row)) < 3] == []
    for place, value in (("clips.frames", "`50`"), ("training.ema", "`null`"), ("demo.parts", "not there")):
        assert [row[2] for row in rows if row[0] == place] == [value]


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        # Every job of Snakemake's begins with the check, ...
        ("dfdc.config.check", {"numpy", "pyarrow", "pandas", "av", "cv2", "torch", "snakemake"}),
        # ... and worker processes import the declarations.
        ("dfdc.config.settings", {"pydantic"}),
    ],
)
def test_what_declares_settings_imports_nothing_heavy(module, heavy):
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert not heavy & set(done.stdout.split())


def words_of_code():
    """All names and the words in all strings of the workflow, but not comments, docstrings and what declares them."""
    paths = [*ROOT.glob("rules/*.smk"), *ROOT.glob("workflow/scripts/*.py"), *ROOT.glob("lib/dfdc/**/*.py")]
    words = set()
    for path in paths:
        declares = "settings" in (path.stem, path.parent.name) or path == ROOT / "lib/dfdc/config/demo.py"
        if declares and path.is_relative_to(ROOT / "lib"):
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".py":
            documentation = [
                node
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            ]
            starts = {(node.lineno, node.col_offset) for node in documentation}
        else:
            starts = {(1, 0)}
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type != tokenize.COMMENT and token.start not in starts:
                words |= set(re.findall(r"\w+", token.string))
    return words


def test_every_key_is_used():
    words = words_of_code()
    # The names of models and architectures are the user's.
    keys = {place[-1] for place in known_keys() if place[0] != "pretrained" or len(place) == 1}
    keys -= set(CONFIG["models"])
    assert {"seed", "max_unreadable", "sigma_iou", "of", "checkpoint_every"} <= keys
    assert keys - words == set()


def test_the_published_constants():
    assert CONFIG["detection"]["train"]["every"] == 6
    assert CONFIG["detection"]["train"]["threshold"] == CONFIG["detection"]["test"]["threshold"] == 0.3
    assert (CONFIG["detection"]["test"]["every"], CONFIG["detection"]["test"]["size"]) == (3, 512)
    tracker = {"sigma_l": 0.3, "sigma_h": 0.9, "sigma_iou": 0.3}
    assert CONFIG["tracking"] == {"train": {**tracker, "t_min": 1}, "test": {**tracker, "t_min": 7}}
    assert CONFIG["alignment"] == {"min_boxes": 5, "min_iou": 0.5, "scale_fakes": False}
    assert (CONFIG["clips"]["frames"], CONFIG["clips"]["enlarge"]) == (50, 1.5)
    assert CONFIG["pairs"] == {"min_difference": 0}
    assert CONFIG["prediction"] == {
        "shards": 40,
        "fps": 15,
        "enlarge": 1.5,
        "frame_every": 2,
        "sequence_every": 14,
        "sequence_length": 7,
        "precision": "fp16",
    }
    published = {"exponent": 0.65, "calibration": "published", "clip": [0.01, 0.99], "weight_offset": 1e-4}
    assert CONFIG["ensemble"] == published | {"unknown": 0.5}
    training = CONFIG["training"]
    assert {key: value for key, value in training.items() if key != "recompression"} == {
        "iterations": 100_000,
        "batch_pairs": 8,
        "warmup_iterations": 100,
        "learning_rate": 0.005,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "ema": None,
        "clip_gradient": None,
        "accumulate": 1,
        "precision": "bf16",
        "compile": False,
        "mixup_alpha": 0.5,
        "flip": 0.5,
        "autoaugment": 0.5,
    }
    # Variants are a deviation, see docs/how-it-works.md.
    assert training["recompression"] == {
        "variants": 4,
        "probability": 0.5,
        "fps": [15, 30],
        "fps_probability": 0.5,
        "scale": [0.25, 1.0],
        "scale_probability": 0.5,
        "crf": [17, 40],
        "tunes": ["film", "animation", "grain", "stillimage", "fastdecode", "zerolatency"],
        "preset": "medium",
        "pixel_format": "yuv444p",
        "whole_clip": True,
        "backend": "pyav",
    }
    models = CONFIG["models"]
    assert {model["architecture"] for model in models.values()} == {"efficientnet-b7"}
    assert {name: model["seed"] for name, model in models.items()} == {"large_crop": 30, "re": 10, "seq": 20}
    assert {name: model["erasing"] for name, model in models.items()} == {"large_crop": 0, "re": 0.2, "seq": 0}
    assert {name: model["crop"]["smaller_side"] for name, model in models.items()} == {
        "large_crop": 192,
        "re": 224,
        "seq": 224,
    }
    assert {name: model["crop"]["pad"] for name, model in models.items()} == {
        "large_crop": True,
        "re": False,
        "seq": False,
    }
    assert {(model["crop"]["height"], model["crop"]["width"]) for model in models.values()} == {(224, 192)}
    assert models["large_crop"]["frames"] == models["re"]["frames"] == [9, 13, 17, 21, 25, 29, 33, 37]
    assert models["seq"]["frames"] == [19, 21, 23, 25, 27, 29, 31]
    assert models["large_crop"]["score"] == {"of": 4, "take": [0, 1]}
    assert models["re"]["score"] == {"of": 4, "take": [2, 3]}
    assert models["seq"]["score"] == {"of": 1, "take": [0]}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (changed(clips__frame=3), "clips: unknown key 'frame'; did you mean 'frames'?"),
        (changed(modles={}), "the top level: unknown key 'modles'; did you mean 'models'?"),
        (changed(models__re__sed=3), "models.re: unknown key 'sed'; did you mean 'seed'?"),
        (changed(speed__compile=True), "speed: unknown key 'compile'; it is training.compile now, because"),
        (
            changed(clips__frames="fifty"),
            "clips.frames: must be a whole number of at least 1, not 'fifty'",
        ),
        (changed(clips__frames=50.0), "clips.frames: must be a whole number of at least 1, not 50.0"),
        (changed(clips__frames=True), "clips.frames: must be a whole number of at least 1, not True"),
        (changed(clips__frames=0), "clips.frames: must be a whole number of at least 1, not 0"),
        (changed(clips__frames=None), "clips.frames: must be a whole number of at least 1, not None"),
        (
            changed(training__learning_rate="1e-3"),
            "training.learning_rate: must be a number above 0, not '1e-3' (YAML reads 1e-3 as a string: write 0.001",
        ),
        (
            changed(training__learning_rate=float("nan")),
            "training.learning_rate: must be a number above 0, not nan",
        ),
        (
            changed(training__learning_rate=float("inf")),
            "training.learning_rate: must be a number above 0, not inf",
        ),
        (
            changed(training__recompression__whole_clip="yes"),
            "training.recompression.whole_clip: must be true or false, not 'yes'",
        ),
        (changed(alignment__min_iou=1.5), "alignment.min_iou: must be a number from 0 to 1, not 1.5"),
        (
            changed(detection__train__detector="yunett"),
            "detection.train.detector: must be dsfd or yunet, not 'yunett'",
        ),
        (changed(speed__workers=0), "speed.workers: must be auto, or a whole number from 1 to 1024, not 0"),
        (changed(data__parts="all"), "data.parts: must be auto, or a non-empty list of distinct entries"),
        (
            changed(data__parts=["../x"]),
            "data.parts: must be auto, or a non-empty list of distinct entries, each the name of a folder",
        ),
        (changed(data=None), "data: must be a mapping, not None"),
        (
            changed(**{"models__a b": CONFIG["models"]["re"]}),
            "models: a name must be a word of letters (A to Z), digits, _ and -, not 'a b'",
        ),
        (changed(models={}), "models: must be a mapping with at least one key, not {}"),
        (changed(alignment__min_iou=True), "alignment.min_iou: must be a number from 0 to 1, not True"),
        (changed(clips__frames="3"), "clips.frames: must be a whole number of at least 1, not '3'"),
        (changed(training__recompression__whole_clip=1), "training.recompression.whole_clip: must be true or false"),
        (changed(training__ema=1.0), "training.ema: must be a number between 0 and 1, or null, not 1.0"),
        (changed(training__recompression__fps=[15, 200]), "training.recompression.fps.1: must be a whole number from"),
        (changed(training__recompression__fps=[15]), "training.recompression.fps: must be [low, high], each a whole"),
        (changed(data__parts=["a", "a"]), "data.parts: must be auto, or a non-empty list of distinct entries"),
        *((changed(data__parts=[name]), "data.parts: must") for name in ("..", "{a}", "\x1b[31m", "a" * 201)),
        # So slow that its step has no place in a table; so much that weights add up to infinity.
        (changed(prediction__fps=1e-9), "prediction.fps: must be a number from 0.01 to 1000, not"),
        (changed(ensemble__weight_offset=1e308), "ensemble.weight_offset: must be a number above 0 and up"),
        (changed(data__root=""), "data.root: must be the path of a folder, not ''"),
        (changed(validation__parts="one"), "validation.parts: must be a list of distinct entries"),
        (changed(demo=None), "demo: must be a mapping, not None"),
        (
            changed(evaluation__recompression=[{"fps": 30, "scale": 1.0, "crf": 60}]),
            "evaluation.recompression.0.crf: must be a whole number from 0 to 51, not 60",
        ),
        (changed(models={7: CONFIG["models"]["re"]}), "models: the key 7 is not a string; put it in quotes"),
    ],
)
def test_one_fault_one_line(config, message):
    (fault,) = faults(config)
    assert fault.startswith(message)


def test_long_lists_are_checked_at_once_and_not_told_in_full():
    begun = time.process_time()
    (many,) = [faults(changed(data__parts=[1] * 15_000))]
    faults_of_names = faults(changed(data__parts=[*map(str, range(15_000)), "0"]))
    assert time.process_time() - begun < 5  # at one fault at a time it was minutes
    assert sum(map(len, many)) < 10_000
    assert many[-1] == "… (15001 faults)"
    assert len(faults_of_names[0]) < 2000


def test_all_faults_are_told_at_once():
    config = changed(seeed=1, speed__workers=-1, tracking__train__t_min=0)
    config[3] = "three"
    del config["clips"], config["ensemble"]["clip"], config["ensemble"]["exponent"]
    told = faults(config)
    assert len(told) == len(set(told)) == 7
    for line in (
        "the top level: the key 'clips' is missing",
        "ensemble: the key 'clip' is missing",
        "ensemble: the key 'exponent' is missing",
        "the top level: the key 3 is not a string; put it in quotes",
    ):
        assert line in told


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (changed(models__re__frames=[9, 50]), "models.re.frames: a clip has the frames 0 to 49 (clips.frames)"),
        (changed(models__seq__frames=[1, 2]), "models.seq.frames: has 2 frames, but prediction.sequence_length is 7"),
        (
            changed(models__re__score={"of": 2, "take": [2]}),
            "models.re.score.take: must be less than of (2)",
        ),
        (changed(models__re__crop__smaller_side=200), "models.re.crop.smaller_side: must be at least 224"),
        (changed(models__large_crop__crop__pad=False), "models.large_crop.crop.smaller_side: must be at least 224"),
        (changed(detection__test__weights=None), "detection.test.weights: dsfd needs a weights file"),
        (changed(detection__train__detector="yunet"), "detection.train.resize: yunet supports longer_side only"),
        (changed(detection__train__every=51), "detection.train.every: must be at most clips.frames"),
        (changed(training__warmup_iterations=100_000), "training.warmup_iterations: must be less than"),
        (changed(training__recompression__fps=[30, 15]), "training.recompression.fps: [30, 15] is empty"),
        (changed(training__recompression__crf=[20, 20]), "training.recompression.crf: [20, 20] is empty"),
        (changed(training__recompression__scale=[0.9, 0.5]), "training.recompression.scale: the first number (0.9)"),
        (
            changed(data__parts=["one", "two"], validation__parts=["one", "twoo"]),
            "validation.parts: 'twoo' is not a training part (data.parts); did you mean 'two'?",
        ),
        (
            changed(data__parts=["one", "two"], validation__parts=["two", "one"]),
            "validation.parts: names all training parts (data.parts); leave at least one to train on",
        ),
        (
            changed(ensemble__calibration="exponent", validation__share=0),
            "ensemble.calibration: exponent is fitted on validation pairs, but validation.parts and "
            "validation.share set no pairs aside; set it to published",
        ),
        (
            changed(ensemble__calibration="temperature", **GIVEN),
            "ensemble.calibration: temperature is fitted on validation pairs, but no model is trained "
            "(all have weights); set it to published",
        ),
        (changed(ensemble__clip=[0.9, 0.1]), "ensemble.clip: the first number (0.9) must not be more than"),
    ],
)
def test_keys_that_contradict_each_other(config, message):
    (fault,) = faults(config)
    assert fault.startswith(message)


def test_parts_for_validation_that_are_found(tmp_path):
    def config(*parts):
        return changed(data__root=str(tmp_path), validation__parts=list(parts))

    check_config(config("dfdc_train_part_3"))  # that there are no data at all is told elsewhere
    for number in (3, 4):
        (tmp_path / f"dfdc_train_part_{number}").mkdir()
    check_config(config("dfdc_train_part_3"))
    (fault,) = faults(config("dfdc_train_part_4", "dfdc_train_part_33"))
    assert fault.startswith("validation.parts: 'dfdc_train_part_33' is not a training part")
    (fault,) = faults(config("dfdc_train_part_4", "dfdc_train_part_3"))
    assert fault.startswith("validation.parts: names all training parts")


def test_the_demo_names_the_parts_that_it_makes():
    demo = merged(CONFIG, read_yaml(ROOT / "profiles" / "demo" / "settings.yaml"))
    demo["demo"] = demo["demo"] | {"parts": 2}
    (fault,) = faults(demo)
    assert (
        fault
        == "data.parts: must be ['dfdc_train_part_0', 'dfdc_train_part_1'], the parts that the demo makes (demo.parts)"
    )


def test_yaml_that_is_none(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("data:\n  root: [a\nclips: 3\n")
    with pytest.raises(UserError, match=r"my\.yaml is not valid YAML: (.|\n)*line 3"):
        read_yaml(path)
    path.write_text("x: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(UserError, match="not valid YAML"):
        read_yaml(path)


def test_settings_are_merged_as_snakemake_merges_them(tmp_path):
    files = [ROOT / "profiles/demo/settings.yaml", tmp_path / "own.yaml"]
    files[1].write_text("models: {re: null, seq: {crop: {height: 80}}}\nensemble: {clip: [0.1, 0.9]}\n")
    expected = copy.deepcopy(CONFIG)
    for file in files:
        update_config(expected, read_yaml(file))
    del expected["models"]["re"]
    assert read_config(ROOT, files) == expected
    assert expected["models"]["seq"]["crop"] == {"smaller_side": 96, "pad": False, "height": 80, "width": 80}
    assert read_config(ROOT) == CONFIG


BOMB = "".join(f"k{n + 1}: &k{n + 1} [{', '.join([f'*k{n}'] * 9)}]\n" for n in range(12))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("data: {root: caf\xe9}".encode("latin-1"), "is not text in UTF-8"),
        ("data: {root: data}".encode("utf-16"), "is not text in UTF-8"),
        (bytes(range(256)), "is not text in UTF-8|not valid YAML"),
        (b"x: 2001-99-99", "not valid YAML: month must be in 1..12"),
        (b"x: &x [*x]", "more than 50 levels"),
        (b"x: &x {y: *x}", "more than 50 levels"),
        (b"k0: &k0 [1]\n" + BOMB.encode(), "more than 20,000 values"),
        (b"x: " + b"[" * 3000, "nested too deeply|not valid YAML"),
        (b"x: " + b"9" * 5000, "not valid YAML: Exceeds the limit"),
        (b'data: {root: "a\\0b"}', "data.root: must be the path of a folder"),
        (b"models: {9999999999999999999999999999992: {}}", "models: the key 9999999999999999999999999999992 is not"),
        (b"prediction: {shards: 10000}", "prediction.shards: must be a whole number from 1 to 1000"),
        (b"torch_threads: 1000000000000000000000000000000", "torch_threads: must be a whole number from 1 to 1024"),
        (b"models: {re: {crop: {height: 200000}}}", "from 32 to 4096"),
        (b"# " + b"x" * 2**20, "has more than 1,048,576 bytes"),
    ],
)
def test_hostile_settings(tmp_path, content, said):
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    begun = time.process_time()
    with pytest.raises(UserError, match=said):
        read_config(ROOT, [path])
    assert time.process_time() - begun < 20  # and not for ever; it takes a second


def test_make_demo_says_what_is_wrong_with_the_users_settings(tmp_path):
    (tmp_path / "own.yaml").write_bytes("data: {root: caf\xe9}".encode("latin-1"))
    command = [sys.executable, "-m", "dfdc.config.reading", tmp_path / "own.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"The settings file {tmp_path / 'own.yaml'} is not text in UTF-8")
    assert "-m dfdc.config.reading $(CONFIG)" in (ROOT / "Makefile").read_text()


def test_a_pipe_is_no_settings_file(tmp_path):
    os.mkfifo(tmp_path / "own.yaml")
    with pytest.raises(UserError, match="are not a file"):
        read_yaml(tmp_path / "own.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file"),
        ("- a", "must be a mapping"),
        ("a: [", "not valid YAML"),
        ("dta: {}", "did you mean 'data'"),
    ],
)
def test_settings_that_cannot_be_read(tmp_path, text, said):
    if text is not None:
        (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(UserError, match=said):
        read_config(ROOT, [tmp_path / "own.yaml"])
