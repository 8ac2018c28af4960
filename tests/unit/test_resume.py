"""``dfdc score --resume``: what is done is not done again."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from samples import moving, write_video, write_weights

from dfdc.cli import score as score_module
from dfdc.cli.main import main
from dfdc.system.errors import UserError

OPTIONS = ("--weights", "re.safetensors", "--detector", "yunet", "--device", "cpu", "--workers", "1")
RESUMED = (*OPTIONS, "--resume", "done.jsonl")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with weights and two videos."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    write_weights(tmp_path / "re.safetensors")
    (tmp_path / "videos").mkdir()
    for number in range(2):
        write_video(tmp_path / f"videos/{number}.mp4", moving(20 + number))
    return tmp_path


@pytest.fixture
def left(monkeypatch):
    """Gives a function: the names of the videos that would be scored."""

    def stopped(paths, *_):
        raise UserError(" ".join(path.name for path in paths))

    def names(capsys, *words):
        with monkeypatch.context() as patched:
            patched.setattr(score_module, "score_videos", stopped)
            assert main(["score", "videos", *words]) == 2
        return capsys.readouterr().err.split()[2:]

    return names


def test_only_what_is_left_is_scored(folder, left, capsys):
    assert main(["score", "videos/0.mp4", *RESUMED]) == 0
    Path("videos/broken.mp4").touch()
    shutil.copy("videos/0.mp4", "videos/copy.mp4")
    capsys.readouterr()
    assert left(capsys, *RESUMED) == ["1.mp4", "broken.mp4"]
    assert main(["score", "videos", *RESUMED, "--csv", "one.csv"]) == 1
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "before" in rows["copy.mp4"]
    assert "before" not in rows["1.mp4"]
    # The files are those of a run without a record.
    assert main(["score", "videos", *OPTIONS, "--csv", "other.csv"]) == 1
    capsys.readouterr()
    assert Path("one.csv").read_bytes() == Path("other.csv").read_bytes()
    # What could not be read is tried again; with other weights or settings all.
    assert left(capsys, *RESUMED) == ["broken.mp4"]
    Path("other.yaml").write_text("ensemble: {unknown: 0.4}")
    assert len(left(capsys, *RESUMED, "--config", "other.yaml")) == 4
    # The last line was not finished.
    content = Path("done.jsonl").read_bytes()
    Path("done.jsonl").write_bytes(content[:-20])
    assert left(capsys, *RESUMED) == ["1.mp4", "broken.mp4"]
    assert Path("done.jsonl").read_bytes() == content.splitlines(keepends=True)[0]
    write_weights(folder / "re.safetensors")
    assert len(left(capsys, *RESUMED)) == 4


@pytest.mark.parametrize(
    "content", [b"video,probability\n", b"[1]\n", json.dumps({"key": "k", "result": {"video": "a"}}).encode() + b"\n"]
)
def test_another_file_is_refused_and_kept(folder, capsys, content):
    Path("done.jsonl").write_bytes(content)
    assert main(["score", "videos", *RESUMED]) == 2
    assert "--resume done.jsonl was not written by dfdc score" in capsys.readouterr().err
    assert Path("done.jsonl").read_bytes() == content
