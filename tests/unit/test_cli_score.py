from pathlib import Path

import pytest
from samples import moving, write_video, write_weights

from dfdc.cli.main import main
from dfdc.cli.score import find_videos
from dfdc.config.reading import read_config
from dfdc.networks.weights.find import Member
from dfdc.stages.prediction.videos import ScoringSettings
from dfdc.system.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def given(tmp_path):
    """A folder with two videos, one of a folder, and the weights of a model."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "empty").mkdir()
    for name in ("a.mp4", "b.mov"):
        (tmp_path / "videos" / name).touch()
    write_weights(tmp_path / "re.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("absent.mp4", "There is no file or folder absent.mp4"),
        ("empty", "There is no video in the folder empty"),
        ("videos --weights absent", "The weights absent are neither a file nor a folder"),
        ("videos --weights empty", "No weights of a model in empty (found: no .safetensors or .pth file"),
        ("videos --csv - --json -", "Only one of --csv and --json"),
        ("videos --timeline lines.png", "--timeline lines.png is one file, but there are 2 videos"),
        ("videos/a.mp4 --timeline lines.jpg", r"--timeline writes .png files, but lines.jpg is not one"),
        ("videos/a.mp4 --annotate videos/a.mp4", "would overwrite the video videos/a.mp4"),
        ("videos --annotate videos", "would overwrite the video videos/a.mp4"),
        ("videos --config absent.yaml", "The settings file absent.yaml cannot be read: No such file"),
    ],
)
def test_mistakes_of_the_user(given, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(given)
    words = arguments.split()
    weights = [] if "--weights" in words else ["--weights", "re.safetensors"]
    assert main(["score", *words, *weights, "--detector", "yunet", "--device", "cpu"]) == 2
    assert said in capsys.readouterr().err


def test_without_weights_of_dsfd_the_other_detector_is_named(given, monkeypatch, capsys):
    monkeypatch.chdir(given)
    assert main(["score", "videos", "--weights", "re.safetensors", "--device", "cpu"]) == 2
    assert "--detector yunet" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["videos", "videos --weights w --workers 0", "videos --weights w --timeout -1"])
def test_wrong_arguments(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["score", *words.split()])
    assert "usage: dfdc score" in capsys.readouterr().err


def test_only_broken_videos_and_videos_without_faces(given, monkeypatch, capsys):
    monkeypatch.chdir(given)
    write_video(Path("videos/none.mp4"), moving(20))
    words = "--weights re.safetensors --detector yunet --device cpu --workers 1 --csv - --timeline lines"
    assert main(["score", "videos", *words.split()]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "video,probability,status,reason,tracks,frames",
        "a.mp4,0.50000000,unreadable,the file is empty,0,0",
        "b.mov,0.50000000,unreadable,the file is empty,0,0",
        "none.mp4,0.50000000,no face,no face was detected in any sampled frame,0,0",
    ]
    assert "no face was found" in printed.err
    assert not Path("lines").exists()


def test_videos_are_named_below_the_folder_that_they_share(given, monkeypatch):
    monkeypatch.chdir(given)
    Path("other").mkdir()
    Path("other/a.MP4").touch()
    Path("other/a.txt").touch()
    assert find_videos([Path("videos/b.mov")]) == {Path("videos/b.mov"): "b.mov"}
    assert list(find_videos([Path("videos"), given / "videos/a.mp4"]).values()) == ["a.mp4", "b.mov"]
    assert list(find_videos([Path("other"), Path("videos/a.mp4")]).values()) == ["other/a.MP4", "videos/a.mp4"]
    # What is named is taken whatever it is called.
    assert find_videos([Path("other/a.txt")]) == {Path("other/a.txt"): "a.txt"}
    with pytest.raises(UserError, match="no video"):
        find_videos([Path("empty")])


@pytest.mark.parametrize("path", ["/w/re.pth", "/re.pth", "re.pth"])
def test_weights_may_lie_anywhere(path):
    """As in a container, where a folder of weights is mounted below the root."""
    config = read_config(ROOT)
    member = Member("re", Path(path), config["models"]["re"])
    assert ScoringSettings.of(config, [member]).ensemble.exponent == config["ensemble"]["exponent"]
    config["ensemble"]["calibration"] = "temperature"
    with pytest.raises(UserError, match=r"calibration\.json"):
        ScoringSettings.of(config, [member])
