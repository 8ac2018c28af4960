import json
import os
import shutil
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake.utils import update_config

from dfdc.cli import doctor
from dfdc.cli.main import main
from dfdc.config import reading as config_of
from dfdc.config.check import drop_removed_models
from dfdc.config.reading import find_checkout, merged, read_config
from dfdc.networks.families import build_model
from dfdc.networks.weights.files import save_weights
from dfdc.preflight import machine
from dfdc.preflight.data import look_at_part
from dfdc.preflight.examine import examine
from dfdc.preflight.findings import Finding
from dfdc.preflight.inputs import check_inputs
from dfdc.system.errors import UserError
from nodes import written

ROOT = Path(__file__).resolve().parents[2]
PART = {
    "a.mp4": {"label": "REAL"},
    "b.mp4": {"label": "FAKE", "original": "a.mp4"},
    "c.mp4": {"label": "FAKE", "original": "a.mp4"},
}
CROP = {"smaller_side": 32, "height": 32, "width": 32}
SETTINGS = {
    "data": {"test_labels": "labels.csv", "max_unreadable": 0.4},
    "detection": {half: {"detector": "yunet", "weights": None, "resize": "longer_side"} for half in ("train", "test")},
    "pretrained": {"efficientnet-lite0": None},
    "models": {name: {"architecture": "efficientnet-lite0", "crop": CROP} for name in ("large_crop", "re")}
    | {"seq": None},
    "torch_threads": 1,
    "speed": {"device": "cpu", "workers": 1},
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with data as they should be."""
    for part in ("dfdc_train_part_0", "dfdc_train_part_1"):
        write_part(tmp_path / "data" / part)
    (tmp_path / "data/test_videos").mkdir()
    for name in ("x.mp4", "y.mp4"):
        (tmp_path / "data/test_videos" / name).write_bytes(b"video")
    (tmp_path / "data/labels.csv").write_text("filename,label\nx.mp4,1\ny.mp4,0\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_part(folder):
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text(json.dumps(PART))
    for name in PART:
        (folder / name).write_bytes(b"video")


@cache
def defaults():
    return read_config(ROOT)


def config(**changes):
    whole = merged(merged(defaults(), SETTINGS), changes)
    drop_removed_models(whole)
    return whole


def findings(**changes):
    return examine(config(**changes), ROOT)


def told(level, words, **changes):
    """The only finding of a level that holds some words."""
    found = findings(**changes)
    (one,) = [finding for finding in found if finding.level == level and words in finding.message]
    if level != "stops":
        assert not [finding for finding in found if finding.level == "stops"]
    return one


def test_the_summary_counts():
    def last(*levels):
        return list(doctor.page([Finding(level, "topic", "message") for level in levels]))[-1]

    assert last("ok", "note") == "This run can work."
    assert last("ok", "slow") == "This run can work, but 1 of these findings slows it."
    assert last("slow", "slow") == "This run can work, but 2 of these findings slow it."
    assert last("slow", "stops") == "This run cannot work: 1 of these findings stops it."
    assert last("stops", "stops") == "This run cannot work: 2 of these findings stop it."


def test_a_run_that_can_work_is_told_in_one_page(place, capsys):
    Path("my.yaml").write_text(yaml.safe_dump(SETTINGS))
    before = sorted(place.rglob("*"))
    assert main(["doctor", "--config", "my.yaml"]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert lines[-1].startswith("This run can work")  # perhaps slowly: on a network disk, or with a quota of cores
    assert len(lines) < 40
    assert all(len(line) <= 100 for line in lines if "/" not in line)
    said = " ".join(said.split())
    assert f"2 in {place}/data, with 6 videos, of which 4 are fakes" in said
    assert "has labels of 2 of 2 videos" in said
    assert "libx264 in pyav" in said
    assert "snakemake 9." in said
    assert sorted(place.rglob("*")) == before


def test_a_run_that_cannot_work(place, capsys):
    Path("my.yaml").write_text(yaml.safe_dump(SETTINGS))
    shutil.rmtree("data")
    assert main(["doctor", "--config", "my.yaml"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"stops parts {place}/data (data.root in the config) is not a folder." in said
    assert "> To try the whole workflow without the data set: make demo" in said
    assert "This run cannot work: " in said


def test_the_demo_makes_its_data_itself(place):
    shutil.rmtree("data")
    found = examine(read_config(ROOT, [ROOT / "profiles/demo/settings.yaml"]), ROOT)
    assert not [finding for finding in found if finding.level == "stops"]
    assert found[0].message == "will be made by the workflow (the demo's)"


@pytest.mark.parametrize(
    ("fault", "level", "words"),
    [
        (lambda: Path("data/dfdc_train_part_1/c.mp4").unlink(), "note", "1 videos of metadata.json are missing, 0 are"),
        (
            lambda: os.truncate("data/dfdc_train_part_1/c.mp4", 0),
            "note",
            "0 videos of metadata.json are missing, 1 are",
        ),
        (lambda: Path("data/dfdc_train_part_1/a.mp4").unlink(), "note", "2 fakes have no pair"),
        (lambda: shutil.copy("data/test_videos/x.mp4", "data/dfdc_train_part_0"), "note", "1 videos are not in their"),
        (lambda: None, "note", "Of DFDC's 50 parts these are missing: 2 to 49."),
        (lambda: os.truncate("data/test_videos/x.mp4", 0), "note", "1 are empty or not files, and will score 0.5"),
        (lambda: Path("data/labels.csv").write_text("filename,label\nx.mp4,1\n"), "note", "has labels of 1 of 2"),
    ],
)
def test_what_a_run_can_do_without(place, fault, level, words):
    fault()
    told(level, words)
    check_inputs(config())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda: shutil.rmtree("data/dfdc_train_part_0"), "holds no training parts"),
        (lambda: Path("data/dfdc_train_part_0/metadata.json").unlink(), "has no metadata.json"),
        (lambda: Path("data/dfdc_train_part_0/metadata.json").write_text("{"), "is not valid JSON"),
        (lambda: shutil.rmtree("data/test_videos"), "does not exist"),
        (lambda: Path("data/labels.csv").write_text("filename,label\nq.mp4,1\n"), "has labels of 0 of 2"),
        (lambda: Path("data/labels.csv").unlink(), "does not exist"),
    ],
)
def test_what_stops_a_run_before_it_begins(place, fault, words):
    """Here and in Snakemake alike."""
    shutil.rmtree("data/dfdc_train_part_1")
    fault()
    told("stops", words)
    with pytest.raises(UserError):
        check_inputs(config())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data": {"parts": ["dfdc_train_part_0", "other"]}}, "data/other (data.parts in the config) is not a folder"),
        ({"models": {"re": {"weights": "no.pth"}}}, "no.pth (models.re.weights in the config) do not exist"),
        ({"models": {"re": {"weights": "no.weights"}}}, "models.re.weights: no.weights: the weights cannot be read"),
        ({"models": {"re": {"architecture": "efficientnet-b1"}}}, "add the key pretrained.efficientnet-b1"),
    ],
)
def test_settings_that_stop_a_run_before_it_begins(place, settings, words):
    Path("no.weights").touch()
    told("stops", words, **settings)
    with pytest.raises(UserError):
        check_inputs(config(**settings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"detection": {"test": {"weights": "no.weights"}}},
            "detection.test.weights: no.weights cannot be used as YuNet",
        ),
        (
            {"pretrained": {"efficientnet-lite0": "no.weights"}},
            "pretrained.efficientnet-lite0: no.weights: the weights",
        ),
        ({"pretrained": {"efficientnet-lite0": "data"}}, "data is a TensorFlow checkpoint, and TensorFlow"),
    ],
)
def test_weights_that_would_stop_a_job(place, settings, words):
    Path("no.weights").write_text("text")
    told("stops", words, **settings)


def test_too_many_videos_are_missing(place):
    for name in ("b.mp4", "c.mp4"):
        Path("data/dfdc_train_part_1", name).unlink()
    found = told("stops", "More than the share data.max_unreadable (0.4) of a part's videos is missing or empty")
    assert "dfdc_train_part_1 2 of 3" in found.message
    told("note", "2 videos of metadata.json are missing", data={"max_unreadable": 0.7})


def test_nothing_to_train_on(place):
    for part in (0, 1):
        os.truncate(f"data/dfdc_train_part_{part}/a.mp4", 0)
    told("stops", "There is no fake with its original")


def test_a_part_in_figures(tmp_path):
    folder = tmp_path / "part"
    write_part(folder)
    (folder / "a.mp4").unlink()
    (folder / "a.mp4").symlink_to("nothing")
    (folder / "b.mp4").write_bytes(b"")
    (folder / "c.mp4").unlink()
    (folder / "c.mp4").mkdir()
    (folder / "more.MP4").write_bytes(b"12345")
    found = look_at_part(folder)
    assert (found.videos, found.fakes, found.missing, found.empty) == (3, 2, 2, 1)
    assert (found.without_original, found.unnamed, found.bytes) == (2, 1, 5)


def test_weights_are_looked_at_before_there_are_any_parts(place):
    shutil.rmtree("data/dfdc_train_part_0")
    shutil.rmtree("data/dfdc_train_part_1")
    settings = {"detection": {"train": {"weights": "no.onnx"}}, "data": {"parts": "auto"}}
    messages = [finding.message for finding in findings(**settings)]
    assert [message for message in messages if "detection.train.weights in the config) do not exist" in message]


def test_finished_weights_need_no_parts(place):
    path = Path("re.safetensors")
    model = build_model("efficientnet-lite0", "frame", (32, 32))
    save_weights(path, model.state_dict(), {"architecture": "efficientnet-lite0"})
    shutil.rmtree("data/dfdc_train_part_0")
    shutil.rmtree("data/dfdc_train_part_1")
    settings = {name: {"weights": str(path)} for name in ("large_crop", "re")}
    found = told("ok", "finished weights of a frame model of efficientnet-lite0, trained here", models=settings)
    assert found.message.startswith("models.large_crop.weights, models.re.weights: ")


def test_packages(place, tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    text = (ROOT / "pyproject.toml").read_text()

    def levels(old, new):
        assert old in text
        (checkout / "pyproject.toml").write_text(text.replace(old, new))
        found = examine(config(), checkout)
        return [(finding.level, finding.message) for finding in found if finding.topic == "packages"]

    assert levels('"numpy==', '"no-such-package==1.0", "numpy==') == [("stops", "Not installed: no-such-package==1.0.")]
    ((level, what),) = levels('"isal==', '"isal<1",#')
    assert (level, what.split(" ")[:5]) == ("note", ["Not", "the", "tested", "versions:", "isal"])


def test_encoders(place, monkeypatch):
    settings = {"training": {"recompression": {"backend": "ffmpeg"}}}
    told("ok", "libx264 in ffmpeg", **settings)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", shutil.which("true"))
    assert "backend: pyav" in told("stops", "has no libx264, and training encodes", **settings).remedy
    told("ok", "libx264 in pyav, used for training; ")


def test_gpus(place, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("DFDC_GPUS", "0,1")
    told("slow", "nvidia-smi sees 2, but ", speed={"device": "auto"})
    told("stops", "nvidia-smi sees 2, but ", speed={"device": "cuda"})
    told("note", "not used: speed.device is cpu")


def test_large_networks_on_a_cpu(place):
    models = {"re": {"architecture": "efficientnet-b7"}}
    told("slow", "Training efficientnet-b7 takes about ", models=models, pretrained={"efficientnet-b7": None})
    told("slow", "threads wait for each other", torch_threads=100_000)


def groups(folder, monkeypatch, names, **files):
    """Control groups as the kernel would tell of them."""
    (folder / "names").write_text(names)
    for path, text in files.items():
        file = folder / "groups" / path.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(machine, "GROUP_NAMES", folder / "names")
    monkeypatch.setattr(machine, "GROUPS", folder / "groups")


def test_limits_of_control_groups(place, monkeypatch):
    alone = (machine.usable_cores(), machine.usable_memory())
    groups(place, monkeypatch, "0::/job/step\n", job__cpu_dot_max="50000 100000\n", job__step__cpu_dot_max="max 100000")
    assert machine.usable_cores() == 0.5
    told("slow", "A quota allows 0.5 of the ")
    groups(place, monkeypatch, "0::/job/step\n", job__memory_dot_max="400000000\n")
    assert machine.usable_memory() == 400_000_000
    assert told("stops", "400 MB, but workers on all cores need about").remedy == "snakemake --cores 1"
    shutil.rmtree("groups")
    limits = {"memory__memory_dot_limit_in_bytes": "5000", "cpu,cpuacct__cpu_dot_cfs_quota_us": "-1"}
    groups(place, monkeypatch, "4:memory:/not/seen/here\n", **limits)
    assert machine.usable_memory() == 5000
    monkeypatch.setattr(machine, "GROUP_NAMES", place / "none")
    assert machine.usable_cores() == len(os.sched_getaffinity(0)) >= alone[0]
    assert machine.usable_memory() >= alone[1]


def test_shared_memory(place):
    told("stops", "of shared memory, but /dev/shm has only", training={"batch_pairs": 10**9})


def test_the_disk(place, monkeypatch):
    assert machine.disk_kind(Path("/proc/self")) == "proc"
    above, here = (str(path).replace(" ", r"\040") for path in (place.parent, place))
    mounts = f"a / ext4 rw 0 0\nb {above}/a\\040b nfs rw 0 0\nauto {here} autofs rw 0 0\nc {here} nfs4 rw 0 0\n"
    (place / "self").mkdir()
    (place / "self" / "mounts").write_text(mounts)
    shutil.copy("/proc/meminfo", place)
    monkeypatch.setattr(machine.psutil, "PROCFS_PATH", str(place))
    kinds = [machine.disk_kind(path) for path in (place / "x", place.parent, place.parent / "a b/c")]
    assert kinds == ["nfs4", "ext4", "nfs"]
    told("slow", "is on a network disk (nfs4)")
    monkeypatch.setattr(machine, "PAIR", 1e18)
    told("stops", "results take about 4e+06 TB")


def test_a_path_stays_in_one_piece():
    path = "/" + "-".join(["long"] * 40)
    lines = list(doctor.page([Finding("stops", "weights", f"The weights {path} do not exist.", f"Look for {path}.")]))
    assert sum(path in line for line in lines) == 2


def test_what_is_there_needs_no_more_room(place):
    def needed():
        (disk,) = (finding.message for finding in findings() if finding.topic == "disk")
        return disk.partition("results take about ")[2]

    assert needed().endswith("MB")
    store = Path("results/clips/dfdc_train_part_0.arrow")
    store.parent.mkdir(parents=True)
    store.touch()
    os.truncate(store, 10**9)
    assert needed() == "0 B more"


def test_locks(place):
    told("ok", f"no other run is active in {place}")
    Path(".snakemake/locks").mkdir(parents=True)
    Path(".snakemake/locks/0.input.lock").touch()
    told("note", "A run that was killed has left its locks")
    for kind in ("run", "job"):
        heartbeat = written(Path(f".snakemake/alive/node7.{kind}"))
        told("stops", f"{place} is in use by a {kind} (process 41 on node7, last heartbeat ")
        heartbeat.unlink()


def test_settings_that_are_not_valid(place, capsys):
    for text, words in (
        ("trainig: {}", "did you mean 'training'"),
        ("- 1", "must be a mapping"),
        ("a: [", "is not valid YAML"),
    ):
        Path("bad.yaml").write_text(text)
        assert main(["doctor", "--config", "bad.yaml"]) == 2
        assert words in capsys.readouterr().err
    assert main(["doctor", "--config", "none.yaml"]) == 2
    assert "The settings file none.yaml cannot be read: No such file" in capsys.readouterr().err


def test_it_is_run_in_a_checkout(tmp_path, monkeypatch, capsys):
    assert find_checkout(ROOT / "tests" / "unit") == find_checkout(tmp_path) == ROOT
    monkeypatch.setattr(config_of, "LIBRARY", tmp_path / "site-packages" / "dfdc")
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 2
    assert "Run this command in a clone of the project" in capsys.readouterr().err


TREES = st.recursive(
    st.none() | st.integers() | st.lists(st.integers(), max_size=2),
    lambda values: st.dictionaries(st.sampled_from("abc"), values, max_size=3),
    max_leaves=6,
)
SECTIONS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


@given(SECTIONS, SECTIONS)
def test_settings_are_merged_as_snakemake_does(base, changes):
    expected = json.loads(json.dumps(base))
    update_config(expected, changes)
    assert merged(base, changes) == expected


def test_settings_of_several_files(place):
    Path("one.yaml").write_text("ensemble: {exponent: 0.5}\ntorch_threads: 3\nmodels: {seq: null}\n")
    Path("two.yaml").write_text("torch_threads: 4\n")
    config = read_config(ROOT, ["one.yaml", "two.yaml"])
    assert (config["ensemble"]["exponent"], config["torch_threads"], sorted(config["models"])) == (
        0.5,
        4,
        ["large_crop", "re"],
    )
    assert config["ensemble"]["unknown"] == 0.5


def test_external_sets(place):
    others = {"videos": "dfdc_train_part_0", "labels": "dfdc_train_part_0/metadata.json"}
    told("ok", "dfdc_train_part_0/metadata.json has labels of 3 of 3 videos", data={"external": {"others": others}})
    others["labels"] = "absent.csv"
    told("stops", "absent.csv (data.external.others.labels in the config) does", data={"external": {"others": others}})
    others["videos"] = "absent"
    told("stops", "absent (data.external.others.videos in the config) does", data={"external": {"others": others}})
