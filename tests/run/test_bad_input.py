"""Inputs that cannot be worked with: one message that helps, before any job starts."""

import json
import os
import shutil

import pytest


@pytest.fixture
def data(tmp_path):
    """A data set in which all is where it should be. Nobody looks into the videos before the first job."""
    part = tmp_path / "data" / "dfdc_train_part_0"
    part.mkdir(parents=True)
    write_metadata(part, {"real.mp4": {"label": "REAL"}, "fake.mp4": {"label": "FAKE", "original": "real.mp4"}})
    (tmp_path / "data" / "test_videos").mkdir()
    (tmp_path / "data" / "test_videos" / "test.mp4").write_bytes(b"video")
    (tmp_path / "data" / "test_labels.csv").write_text("filename,label\ntest.mp4,1\n")
    return tmp_path / "data"


def write_metadata(part, metadata):
    (part / "metadata.json").write_text(json.dumps(metadata))


def settings_for(data, **changes):
    return {"data": {"root": str(data), "parts": "auto", **changes}}


def refused(program, settings, *targets, run=None):
    """What the program says to settings that it refuses, in a dry run unless told otherwise."""
    done = (run or program.dry_run)(*(targets or ["submission.csv"]), settings=settings, own_data=True)
    assert done.returncode == 1, done.stdout
    for word in ("Traceback", 'File "', "Exception", "Job stats"):
        assert word not in done.stdout
    assert not (program.demo / "results").exists()
    return done.stdout


def test_good_input_is_not_refused(program, data):
    jobs = program.plan("submission.csv", settings=settings_for(data), own_data=True)
    assert "detect_faces dfdc_train_part_0" in jobs
    assert "submission" in jobs


def test_no_data_at_all(program):
    done = program.bare_dry_run("submission.csv")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    assert str(program.folder / "data") in done.stdout
    assert "data.root" in done.stdout
    assert "kaggle.com" in done.stdout
    assert "make demo" in done.stdout


def test_no_training_parts(program, data):
    (data / "dfdc_train_part_0").rename(data / "other")
    said = refused(program, settings_for(data))
    assert "no training parts" in said
    assert str(data) in said


def test_part_that_is_not_there(program, data):
    said = refused(program, settings_for(data, parts=["dfdc_train_part_0", "dfdc_train_part_7"]))
    assert "dfdc_train_part_7" in said
    assert "data.parts" in said


def test_part_without_metadata(program, data):
    """Neither a dry run nor a real one gets as far as a job."""
    (data / "dfdc_train_part_0" / "metadata.json").unlink()
    said = refused(program, settings_for(data), run=program.snakemake)
    assert refused(program, settings_for(data)).splitlines()[-1] == said.splitlines()[-1]
    assert "dfdc_train_part_0" in said
    assert "metadata.json" in said
    assert "Extract" in said


def test_broken_json(program, data):
    (data / "dfdc_train_part_0" / "metadata.json").write_text('{"real.mp4": {"label": "REAL"')
    said = refused(program, settings_for(data))
    assert "metadata.json is not valid JSON" in said
    assert "line 1" in said


@pytest.mark.parametrize("original", [None, "absent.mp4", "fake.mp4"])
def test_fake_without_original(program, data, original):
    fake = {"label": "FAKE"} if original is None else {"label": "FAKE", "original": original}
    write_metadata(data / "dfdc_train_part_0", {"real.mp4": {"label": "REAL"}, "fake.mp4": fake})
    said = refused(program, settings_for(data))
    assert "fake.mp4" in said
    assert "original" in said
    assert (original or "has no original") in said


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_metadata_that_are_no_file(program, data, kind):
    path = data / "dfdc_train_part_0/metadata.json"
    path.unlink()
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    said = refused(program, settings_for(data))
    assert "metadata.json is not valid JSON (it is not a file)" in said


def test_odd_test_videos_stop_no_plan(program, data):
    os.mkfifo(data / "test_videos/x.mp4")
    (data / "test_videos" / os.fsdecode(b"caf\xe9.mp4")).touch()
    (data / "test_videos" / f"{'x' * 245}.mp4").touch()
    jobs = program.plan("submission.csv", settings=settings_for(data), own_data=True)
    assert "submission" in jobs


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("data: {root: caf\xe9}".encode("latin-1"), "is not text in UTF-8"),
        (b"data: {root: 2001-99-99}", "month must be in 1..12"),
        (b"x: " + b"[" * 3000, "nested too deeply"),
    ],
)
def test_a_config_yaml_that_cannot_be_read(program, content, words):
    before = (program.folder / "config.yaml").read_bytes()
    (program.folder / "config.yaml").write_bytes(content)
    try:
        done = program.bare_dry_run("submission.csv")
    finally:
        (program.folder / "config.yaml").write_bytes(before)
    assert done.returncode == 1
    assert words in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory. Correct the path."),
        ("data: {root: caf\xe9}".encode("latin-1"), "is not text in UTF-8"),
        ("data: {root: data}".encode("utf-16"), "is not text in UTF-8"),
        (bytes(range(256)), "is not text in UTF-8"),
        (b"data: {root: 2001-99-99}", "month must be in 1..12"),
        (b"x: " + b"[" * 3000, "nested too deeply"),
        (b"x: " + b"9" * 5000, "is not valid YAML: Exceeds the limit"),
        (b"x: &x [*x]", "more than 50 levels"),
        (b"a: &a [1]\nb: &b [*a, *a, *a]\n" + b"c: &c [" + b"*b," * 10_000 + b"]", "more than 20,000 values"),
        (b"- data", "must be a mapping of keys to values"),
        (b"", "must be a mapping of keys to values"),
    ],
    ids=["missing", "Latin-1", "UTF-16", "binary", "date", "brackets", "digits", "recursive", "bomb", "list", "empty"],
)
def test_a_configfile_that_cannot_be_read(program, tmp_path, content, words):
    file = tmp_path / "my settings.yaml"
    if content is not None:
        file.write_bytes(content)
    assert_refused(program.bare_dry_run("submission.csv", "--profile", "profiles/demo", f"--configfile={file}"), words)


def test_a_configfile_that_is_missing_wherever_snakemake_is_called(program, tmp_path):
    """The file is named, also if it is the second one."""
    words = "my settings.yaml cannot be read: No such file or directory."
    elsewhere = ("-s", str(program.folder / "Snakefile"), "--configfile", "my settings.yaml")
    assert_refused(program.bare_dry_run("submission.csv", *elsewhere, folder=tmp_path), words)
    second = ("--configfiles", "tests/tiny.yaml", "my settings.yaml", "--nocolor")
    assert_refused(program.bare_dry_run("submission.csv", *second), words)


def assert_refused(done, words):
    assert done.returncode == 1
    assert words in done.stdout
    assert "my settings.yaml" in done.stdout
    assert "Traceback" not in done.stdout


def test_no_test_videos(program, data):
    (data / "test_videos" / "test.mp4").unlink()
    said = refused(program, settings_for(data))
    assert str(data / "test_videos") in said
    assert "data.test_videos" in said
    assert "holds no video (names that end in .mp4, " in said


def test_no_folder_of_test_videos(program, data):
    assert "does not exist" in refused(program, settings_for(data, test_videos="nowhere"))


def test_no_labels(program, data):
    said = refused(program, settings_for(data, test_labels="nowhere.csv"))
    assert str(data / "nowhere.csv") in said
    assert "data.test_labels" in said


def test_labels_of_another_form(program, data):
    (data / "test_labels.csv").write_text("video;fake\ntest.mp4;1\n")
    said = refused(program, settings_for(data))
    assert "test_labels.csv" in said
    assert "filename and label" in said


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"training": {"learnig_rate": 0.1}}, ["training", "'learnig_rate'", "did you mean 'learning_rate'"]),
        ({"ensmble": {"exponent": 1}}, ["'ensmble'", "did you mean 'ensemble'"]),
        ({"training": {"learning_rate": "1e-3"}}, ["training.learning_rate", "'1e-3'", "a number above 0", "0.001"]),
        ({"prediction": {"shards": 0}}, ["prediction.shards", "from 1 to 1000"]),
        ({"models": {"re": {"kind": "video"}}}, ["models.re.kind", "frame or sequence"]),
        ({"data": []}, ["data"]),
    ],
    ids=["unknown", "unknown at the top", "word for a number", "out of range", "no such choice", "no mapping"],
)
def test_faults_of_the_config(program, data, settings, words):
    said = refused(program, {**settings_for(data), **settings})
    assert "configuration is not valid" in said
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("models.re.weights", {"models": {"re": {"weights": "nowhere.safetensors"}}}),
        ("pretrained.efficientnet-lite0", {"pretrained": {"efficientnet-lite0": "nowhere.safetensors"}}),
        ("detection.test.weights", {"detection": {"test": {"weights": "nowhere.safetensors"}}}),
        ("detection.train.weights", {"detection": {"train": {"weights": "nowhere.safetensors"}}}),
    ],
)
def test_weights_that_are_not_there(program, data, key, settings):
    said = refused(program, {**settings_for(data), **settings})
    assert str(program.demo / "nowhere.safetensors") in said
    assert key in said


def test_weights_of_another_network(program, data):
    (program.demo / "given.safetensors").write_bytes(b"no weights")
    said = refused(program, {**settings_for(data), "models": {"re": {"weights": "given.safetensors"}}})
    (program.demo / "given.safetensors").unlink()
    assert "given.safetensors: the weights cannot be read" in said


TRACKS = "results/tracks/dfdc_train_part_0.parquet"


def test_only_what_the_plan_reads_is_checked(program, data):
    """Tracks of a part need no other part, no test videos, no labels, and no weights but the detector's."""
    broken = data / "broken"
    broken.mkdir()
    (broken / "metadata.json").write_text("{")
    (data / "test_labels.csv").unlink()
    shutil.rmtree(data / "test_videos")
    settings = {
        **settings_for(data, parts=["dfdc_train_part_0", "broken"]),
        "detection": {"test": {"weights": "nowhere"}},
        "pretrained": {"efficientnet-lite0": "nowhere"},
        "models": {"re": {"weights": "nowhere"}, "seq": {"architecture": "efficientnet-b3"}},
    }
    jobs = program.plan(TRACKS, settings=settings, own_data=True)
    assert jobs == ["build_tracks dfdc_train_part_0", "detect_faces dfdc_train_part_0"]
    assert "metadata.json is not valid JSON" in refused(program, settings, "results/pairs.parquet")
    fixed = {**settings, **settings_for(data)}
    assert "pair_clips" in program.plan("results/pairs.parquet", settings=fixed, own_data=True)
    assert "add the key pretrained.efficientnet-b3" in refused(program, fixed, "results/models/seq/weights.safetensors")
    assert "models.re.weights" in refused(program, fixed, "results/models/re/weights.fp16.safetensors")
    test_half = {**fixed, "detection": {}}
    assert "data.test_videos" in refused(program, test_half, "results/test/tracks/0.parquet")


def test_unlocking_needs_no_data(program, tmp_path):
    done = program.bare_snakemake("--unlock", "--directory", str(tmp_path))
    assert done.returncode == 0, done.stdout
