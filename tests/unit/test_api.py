"""Scoring from Python, which gives what the command writes."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from samples import write_weights

import dfdc
from dfdc.cli.main import main
from dfdc.system.errors import UserError


@pytest.fixture
def given(tmp_path, monkeypatch):
    """The weights of a model, and a video that is none."""
    monkeypatch.chdir(tmp_path)
    write_weights(tmp_path / "re.safetensors")
    (tmp_path / "a.mp4").touch()
    return tmp_path


def test_the_same_as_the_command_writes(given):
    scores = dfdc.score("a.mp4", "re.safetensors", detector="yunet", device="cpu", workers=1)
    words = "a.mp4 --weights re.safetensors --detector yunet --device cpu --workers 1 --json scores.json"
    assert main(["score", *words.split()]) == 1
    told = json.loads(Path("scores.json").read_text())
    ours = json.loads(json.dumps(asdict(scores)))
    assert ours.pop("warning") == ""
    assert ours == told
    (video,) = scores.videos
    assert (video.video, video.verdict, video.status) == ("a.mp4", "uncertain", "unreadable")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"videos": "absent.mp4"}, "There is no file or folder absent.mp4"),
        ({"weights": "absent"}, "There is no file or folder absent with weights"),
        ({"config": "absent.yaml"}, r"absent\.yaml cannot be read"),
        ({"device": "gpu"}, "There is no device 'gpu'"),
        ({"device": "mps"}, "torch cannot use the device mps"),
        ({"detector": "mtcnn"}, "There is no detector 'mtcnn'"),
        ({"workers": -1}, "workers is -1"),
        ({"workers": 0}, "workers is 0"),
        ({"timeout": 0}, "timeout is 0"),
        ({"videos": []}, "There is nothing to score"),
    ],
)
def test_mistakes(given, changed, said):
    arguments = {"videos": "a.mp4", "weights": ["re.safetensors"], "detector": "yunet", "device": "cpu"} | changed
    with pytest.raises(UserError, match=said):
        dfdc.score(**arguments)


def test_the_import_alone_is_light():
    code = "import sys, dfdc; assert 'torch' not in sys.modules and 'dfdc.cli' not in sys.modules; dfdc.absent"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "AttributeError: module 'dfdc' has no attribute 'absent'"
