"""Files with checksums: damaged ones are never read as other data, and their name is said."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from samples import moving, write_clips

from dfdc.cli.main import main
from dfdc.data.pictures.store import Store
from dfdc.data.schemas.scores import SCORES
from dfdc.data.tables import read_table, write_table
from dfdc.figures.pictures import Row, write_sheet
from dfdc.figures.style import drawing
from dfdc.networks.weights.files import read_tensors, save_weights
from dfdc.stages.clips.reading import load_in_order
from dfdc.stages.prediction.ensemble import submission_csv
from dfdc.system.checksums import read_json, verify_figure, write_json, write_sum
from dfdc.system.errors import OutOfMemory, UserError
from dfdc.system.files import write_text
from dfdc.system.jobs.records.accepted import ACCEPTED, accepted, record_accepted

STATE = {"a.weight": torch.arange(200.0).reshape(10, 20), "b": torch.ones(3)}


def write_scores(path):
    columns = {"video": [f"{n}.mp4" for n in range(50)], "track": range(50), "frame": range(50)}
    write_table(path, SCORES, columns | {"probability": np.linspace(0, 1, 50)})


def read_clips(path):
    store = Store(path)
    return [picture.tobytes() for clip in range(len(store)) for picture in store.read(clip)]


KINDS = {
    "t.parquet": (write_scores, lambda path: read_table(path, SCORES).to_pylist()),
    "s.arrow": (lambda path: write_clips(path, [3, 1], 24), read_clips),
    "w.safetensors": (
        lambda path: save_weights(path, STATE, {"name": "re"}),
        lambda path: {name: value.tolist() for name, value in read_tensors(path).items()},
    ),
    "e.json": (lambda path: write_json(path, {"log_loss": 0.43, "of": {"re": [1, 2]}}), read_json),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A sound file of each kind, and what it holds."""
    folder, contents = tmp_path_factory.mktemp("sound"), {}
    for name, (write, read) in KINDS.items():
        write(folder / name)
        contents[name] = ((folder / name).read_bytes(), read(folder / name))
    return contents


@pytest.mark.parametrize("name", KINDS)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), length=st.sampled_from([1, 1, 1, 4, 100]))
def test_damaged_bytes_are_never_read_as_other_data(sound, tmp_path_factory, name, place, bit, length):
    path = tmp_path_factory.mktemp("damaged") / name
    content, expected = sound[name]
    start = int(place * len(content))
    damaged = bytearray(content)
    for index in range(start, min(start + length, len(content))):
        damaged[index] ^= 1 << bit
    path.write_bytes(damaged)
    try:
        outcome = KINDS[name][1](path)
    except UserError as error:
        outcome = str(error)
    shutil.rmtree(path.parent)
    assert outcome == expected or str(path) in outcome


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.98])
def test_files_cut_short(sound, tmp_path, name, share):
    path = tmp_path / name
    path.write_bytes(sound[name][0][: int(share * len(sound[name][0]))])
    with pytest.raises(UserError, match=name):
        KINDS[name][1](path)


def test_other_tools_read_the_files(tmp_path):
    write_scores(tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet", page_checksum_verification=True).num_rows == 50
    write_clips(tmp_path / "s.arrow", [3, 1], 24)
    with pa.memory_map(str(tmp_path / "s.arrow")) as file:
        assert [batch.num_rows for batch in map(pa.ipc.open_file(file).get_batch, range(2))] == [3, 1]
    with (tmp_path / "s.arrow").open("rb") as file:
        file.seek(8)  # behind the mark of a file there is a stream
        assert sum(batch.num_rows for batch in pa.ipc.open_stream(file)) == 4
    save_weights(tmp_path / "w.safetensors", STATE, {})
    assert torch.equal(load_file(tmp_path / "w.safetensors")["b"], STATE["b"])


def test_files_of_others_have_no_checksum(tmp_path):
    """Tables and stores of a run must have one; weights may come from elsewhere."""
    pq.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="no checksum"):
        read_table(tmp_path / "t.parquet", SCORES)
    (tmp_path / "e.json").write_text('{"log_loss": 1}')
    with pytest.raises(UserError, match="no checksum"):
        read_json(tmp_path / "e.json")


def damage_picture(path, clip=1):
    """Damage the compressed pixels of a clip's first picture."""
    start = int(Store(path)._places["start"][clip] + Store(path)._places["head"][clip])
    content = bytearray(path.read_bytes())
    place = content.index(b"IDAT", start) + 30
    content[place] ^= 255
    path.write_bytes(content)


class Clips(torch.utils.data.Dataset):
    """Reads the clips of a store in loader processes."""

    def __init__(self, path):
        self.store = Store(path)

    def __len__(self):
        return len(self.store)

    def __getitem__(self, clip):
        return len(self.store.read(clip))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_picture_is_named_by_the_loader_too(tmp_path, workers):
    write_clips(tmp_path / "s.arrow", [3, 2], 24)
    damage_picture(tmp_path / "s.arrow")
    with pytest.raises(UserError) as caught:
        list(load_in_order(Clips(tmp_path / "s.arrow"), workers))
    assert str(caught.value).startswith(f"{tmp_path / 's.arrow'} is damaged: image 0 of clip 1: ")
    assert "Traceback" not in str(caught.value)


class Killed(Clips):
    """Its process is killed, as for lack of memory."""

    def __getitem__(self, clip):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_loader_process_that_is_killed(tmp_path):
    write_clips(tmp_path / "s.arrow", [3, 2], 24)
    with pytest.raises(OutOfMemory) as caught:
        list(load_in_order(Killed(tmp_path / "s.arrow"), 1))
    assert str(caught.value).startswith("A process that loads clips has died (")
    assert "\n" not in str(caught.value)


def test_verify_names_what_is_damaged(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    for name, (write, _) in KINDS.items():
        write(tmp_path / "results" / name)
        write(tmp_path / "results" / f"sound-{name}")
    (tmp_path / "results/notes.txt").write_text("mine")
    assert main(["verify"]) == 0
    printed = capsys.readouterr().out
    assert "8 files verified" in printed
    assert "none damaged" in printed
    assert "1 files not verified, without a checksum: results/notes.txt" in printed
    damage_picture(tmp_path / "results/s.arrow")
    for name in ("t.parquet", "w.safetensors", "e.json"):
        path = tmp_path / "results" / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    assert main(["verify"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == [f"results/{name}" for name in sorted(KINDS)]
    assert lines[1] == "results/s.arrow: clip 1 does not match its checksum"
    assert "8 files verified" in lines[4]
    assert "4 damaged" in lines[4]
    assert main(["verify", "absent"]) == 2
    assert main(["verify", "results/sound-s.arrow"]) == 0


@pytest.mark.parametrize("name", ["f.svg", "f.jpg"])
def test_a_figure_that_was_changed(tmp_path, capsys, name):
    path = tmp_path / name
    if name == "f.svg":
        with drawing(path, 2, 2) as (axes,):
            axes.plot([1, 3, 2])
    else:
        write_sheet(path, "title", [Row(moving(2))], 60)
    sound = path.read_bytes()
    assert verify_figure(sound)
    assert main(["verify", str(path)]) == main(["inspect", str(path)]) == 0
    assert "1 files verified" in capsys.readouterr().out
    for place in range(0, len(sound), len(sound) // 200):
        changed = bytearray(sound)
        changed[place] ^= 1 << place % 8
        with contextlib.suppress(ValueError):
            assert not verify_figure(changed)  # the comment is not there any more
    changed = sound.replace(b"1", b"2", 1) if name == "f.svg" else sound[:-20] + sound[-19:]
    path.write_bytes(changed)
    assert main(["verify", str(path)]) == 1
    assert f"{path}: its content does not match its checksum" in capsys.readouterr().out
    assert main(["inspect", str(path)]) == 2
    assert f"{path} is damaged: its content does not match" in capsys.readouterr().err


def test_a_submission_that_was_changed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    write_text("submission.csv", submission_csv({"a.mp4": 0.25, "b.mp4": 0.5}))
    write_sum("results/submission.sha256", "submission.csv")
    if shutil.which("sha256sum"):
        assert subprocess.run(["sha256sum", "--check", "results/submission.sha256"], check=False).returncode == 0
    assert main(["verify"]) == main(["inspect", "submission.csv"]) == 0
    assert "1 files verified" in capsys.readouterr().out
    write_text("submission.csv", submission_csv({"a.mp4": 0.26, "b.mp4": 0.5}))
    assert main(["verify", str(tmp_path)]) == 1
    assert f"{tmp_path / 'submission.csv'}: its content does not match its checksum" in capsys.readouterr().out
    assert main(["inspect", "submission.csv"]) == 2
    assert "submission.csv is damaged" in capsys.readouterr().err
    shutil.copy("submission.csv", "other.csv")  # which may be any table of scores
    assert main(["inspect", "other.csv"]) == 0


def test_a_record_of_accepted_results_that_was_changed(tmp_path, capsys):
    (tmp_path / "results").mkdir()
    (tmp_path / "results/tracks.csv").write_text("filename,label\na.mp4,1\n")
    for rule in ("build_tracks", "score"):
        record_accepted(tmp_path, {"date": "2026-11-24", "rule": rule, "files": ["results/tracks.csv"], "code": {}})
    path = tmp_path / ACCEPTED
    assert [entry["rule"] for entry in accepted(tmp_path / "results/tracks.csv")] == ["build_tracks", "score"]
    assert main(["verify", str(path)]) == 0
    for changed in (("score", "store"), ('"checksum"', '"checksun"'), ("{", "", 1)):
        path.write_text(path.read_text().replace(*changed))
        assert main(["verify", str(path)]) == 1
        assert "does not match its checksum" in capsys.readouterr().out
        assert main(["inspect", str(tmp_path / "results/tracks.csv")]) == 2
        assert f"{path} is damaged: what is in line " in capsys.readouterr().err


def test_what_one_run_accepts_is_not_accepted_in_another_that_its_results_are_linked_to(tmp_path):
    runs = [tmp_path / name for name in ("one", "other")]
    entry = {"date": "2026-11-24", "rule": "score", "files": ["results/a.csv"], "code": {}}
    for run in runs:
        (run / "results").mkdir(parents=True)
    record_accepted(runs[0], entry)
    (runs[1] / ACCEPTED).hardlink_to(runs[0] / ACCEPTED)
    record_accepted(runs[1], entry)
    assert [len(accepted(run / "results/a.csv")) for run in runs] == [1, 2]


def test_pictures_of_a_store_that_is_not_mapped(tmp_path):
    write_clips(tmp_path / "s.arrow", [3], 24)
    store = Store(tmp_path / "s.arrow", mapped=False)
    np.testing.assert_array_equal(store.read(0), moving(3, 24, 28))
    assert store.damage() == []


@pytest.mark.parametrize("kind", ["Killed", "Clips"])
def test_a_program_ends_after_an_error_of_its_loader(tmp_path, kind):
    """Loader processes that were left behind would keep it from ending."""
    write_clips(tmp_path / "s.arrow", [3, 2], 24)
    damage_picture(tmp_path / "s.arrow")
    code = (
        "import sys, test_checksums; from dfdc.stages.clips.reading import load_in_order\n"
        "if __name__ == '__main__': list(load_in_order(getattr(test_checksums, sys.argv[1])(sys.argv[2]), 1))\n"
    )
    (tmp_path / "program.py").write_text(code)
    paths = os.pathsep.join([*(str(Path(__file__).parents[n]) for n in (0, 1)), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, tmp_path / "program.py", kind, tmp_path / "s.arrow"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 1
    assert ("has died" if kind == "Killed" else "image 0 of clip 1") in done.stderr
