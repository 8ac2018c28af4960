import csv
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from samples import moving, write_video, write_weights

from dfdc.cli.main import main
from dfdc.cli.score import find_videos
from dfdc.cli.scoring.outputs import Output, Summary, csv_format, json_format
from dfdc.config.reading import read_config
from dfdc.networks.weights.find import Member
from dfdc.stages.prediction.scoring_settings import ScoringSettings
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
        ("https://example.org/a.mp4", "https://example.org… is an address, not a file. Download the video first"),
        ("empty", "There is no video in the folder empty"),
        ("videos/..", "--recursive also searches its subfolders"),
        ("empty --recursive", "There is no video in the folder empty"),
        ("videos --weights absent", "There is no file or folder absent with weights"),
        ("videos --weights empty", "No weights of a model in empty (found: no .safetensors or .pth file"),
        ("videos --csv - --json -", "Only one of --csv and --json"),
        ("videos --timeline lines.png", "--timeline lines.png is one file, but there are 2 videos"),
        ("videos/a.mp4 --timeline lines.jpg", r"--timeline writes .png files, but lines.jpg is not one"),
        ("videos/a.mp4 --annotate videos/a.mp4", "would overwrite the video videos/a.mp4"),
        ("videos --annotate videos", "would overwrite the video videos/a.mp4"),
        ("videos/b.mov --annotate videos/a.mp4", "would overwrite videos/a.mp4, which it has not written"),
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


def test_all_weights_that_are_missing_are_named_at_once(given, monkeypatch, capsys):
    monkeypatch.chdir(given)
    assert main(["score", "videos", "--weights", "empty", "--device", "cpu"]) == 2
    models, detector = capsys.readouterr().err.splitlines()
    assert models.startswith("dfdc score: No weights of a model in empty (found: no .safetensors or .pth file)")
    assert models.endswith("files named after the models in the settings: large_crop, re, seq.")
    assert detector.startswith("The weights of the face detector DSFD are missing: there is no external_data/WIDER")
    assert "and no WIDERFace_DSFD_RES152*.pth in empty. --detector yunet" in detector


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


def test_a_disk_that_fills_while_scores_are_written(given, disk, monkeypatch, capsys):
    monkeypatch.chdir(given)
    disk(given / "disk", "4k")
    for number in range(120):
        Path(f"videos/{number}.mp4").touch()
    words = "--weights re.safetensors --detector yunet --device cpu --workers 1 --csv disk/scores.csv"
    assert main(["score", "videos", *words.split()]) == 2
    assert "disk/scores.csv cannot be written any more (No space left on device)" in capsys.readouterr().err
    written = Path("disk/scores.csv").read_text().splitlines()
    assert written[0].startswith("video,probability")
    assert len(written) > 40


def test_a_pipe_and_a_device_get_the_rows_in_order_at_the_end(given):
    os.mkfifo(given / "pipe")
    with subprocess.Popen(["cat", given / "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        output = Output(str(given / "pipe"), "--csv", csv_format())
        assert output.add(row("b.mp4")) == ""
        assert output.finish([row("a.mp4"), row("b.mp4")]) == ""
        assert reader.stdout.read() == csv_format().text([row("a.mp4"), row("b.mp4")])
    assert (given / "pipe").is_fifo()  # and not a file in its place
    output = Output("/dev/null", "--csv", csv_format())
    assert output.finish([row("a.mp4")]) == ""
    assert Path("/dev/null").is_char_device()


def test_files_that_cannot_be_written_are_noticed_before_the_first_video(given, monkeypatch, capsys):
    monkeypatch.chdir(given)
    Path("folder").mkdir()
    words = "--weights re.safetensors --detector yunet --device cpu --csv folder"
    assert main(["score", "videos", *words.split()]) == 2
    printed = capsys.readouterr()
    assert "--csv folder cannot be written (Is a directory)" in printed.err
    assert "a.mp4" not in printed.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("videos --csv videos/a.mp4", "--csv would overwrite videos/a.mp4"),
        ("videos/b.mov --csv videos/a.mp4", "--csv would overwrite videos/a.mp4"),  # as of --csv *.mp4
        ("videos --json link", "--json would overwrite link"),
        ("videos --json re.safetensors", "--json would overwrite re.safetensors"),
        ("videos --config my.yaml --csv my.yaml", "--csv would overwrite my.yaml"),
        ("videos --csv s --json ./s", "--json would overwrite ./s, which --csv writes"),
        ("videos --csv s --resume s", "--resume would overwrite s, which --csv writes"),
    ],
)
def test_tables_are_not_written_over_videos_weights_and_each_other(given, monkeypatch, capsys, words, said):
    monkeypatch.chdir(given)
    Path("videos/a.mp4").write_bytes(b"a video")
    Path("link").symlink_to("videos/a.mp4")
    Path("my.yaml").write_text("torch_threads: 1\n")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    words = f"{words} --weights re.safetensors --detector yunet --device cpu --workers 1"
    assert main(["score", *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("mistake", ["--html re.safetensors", "--resume re.safetensors"])
def test_a_table_of_an_earlier_run_is_kept_if_this_one_cannot_begin(given, monkeypatch, mistake):
    monkeypatch.chdir(given)
    Path("s.csv").write_text("earlier")
    words = f"videos --weights re.safetensors --detector yunet --device cpu --csv s.csv {mistake}"
    assert main(["score", *words.split()]) == 2
    assert Path("s.csv").read_text() == "earlier"


def row(name):
    return Summary(name, 0.5, "uncertain", (), "ok", "", 3, [{"track": 0}])


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        (csv_format(), lambda text: [line["video"] for line in csv.DictReader(io.StringIO(text))]),
        (json_format({"models": {}}), lambda text: [video["video"] for video in json.loads(text)["videos"]]),
    ],
)
def test_rows_are_in_the_file_as_they_come_and_in_order_at_the_end(tmp_path, kind, read):
    path = tmp_path / "new" / "scores"
    output = Output(str(path), "--csv", kind)
    assert read(path.read_text()) == []
    for number, name in enumerate(["b.mp4", "c.mp4", os.fsdecode(b"\xff.mp4")], 1):
        assert output.add(row(name)) == ""
        assert len(read(path.read_text())) == number
    assert output.finish([row("a.mp4"), row("b.mp4")]) == ""
    assert path.read_text() == kind.text([row("a.mp4"), row("b.mp4")])


def test_json_is_as_the_library_would_write_it():
    rows = [row("a.mp4"), row("b.mp4")]
    expected = {"detector": "yunet", "models": {"re": {"weights": "w"}}, "videos": [asdict(each) for each in rows]}
    about = {key: expected[key] for key in ("detector", "models")}
    assert json_format(about).text(rows) == json.dumps(expected, indent=2) + "\n"


def test_odd_files_cost_a_row_each(given, monkeypatch, capsys):
    monkeypatch.chdir(given)
    os.mkfifo("videos/pipe.mp4")
    Path("videos/link.mp4").symlink_to("nowhere")
    Path("videos/loop.mp4").symlink_to("loop.mp4")
    Path("videos/" + os.fsdecode(b"caf\xe9.mp4")).touch()
    Path("videos/" + "x" * 245 + ".mp4").touch()
    Path("videos/\x1b[2Jred.mp4").touch()
    Path("videos/new\nline\t.mp4").touch()
    words = "--weights re.safetensors --detector yunet --device cpu --workers 1 --csv s.csv --annotate out"
    assert main(["score", "videos", "videos/link.mp4", *words.split()]) == 1
    with Path("s.csv").open(newline="") as file:
        rows = {line["video"]: line["reason"] for line in csv.DictReader(file)}
    assert len(rows) == 9
    assert rows["new\nline\t.mp4"] == "the file is empty"
    assert rows["pipe.mp4"] == "it is not a file"
    assert rows["link.mp4"] == "the file is missing"
    assert "too many levels" in rows["loop.mp4"]
    assert rows["caf\\udce9.mp4"] == "its name is not UTF-8"
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert len(said.splitlines()) == 11  # the names of columns, the rows, and what no score tells
    assert "new\\nline\\t.mp4 " in said


def test_a_link_into_a_forbidden_folder_costs_a_row():
    # Root, for whom nothing is forbidden, gives up its rights, and could then not read the folder of the test.
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "closed").mkdir()
        (folder / "videos").mkdir()
        write_video(folder / "closed/c.mp4", moving(3))
        (folder / "videos/c.mp4").symlink_to("../closed/c.mp4")
        for path in (folder, folder / "videos"):
            path.chmod(0o755)
        (folder / "closed").chmod(0)
        code = (
            "import os, sys; from pathlib import Path; from dfdc.cli.score import find_videos\n"
            "from dfdc.data.parts import fingerprint; from dfdc.system.errors import VideoError\n"
            "from dfdc.video.reading import open_video\n"
            "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "path = Path('videos/c.mp4')\n"
            "assert list(find_videos([path])) == list(find_videos([path.parent])) == [path]; fingerprint([path])\n"
            "try: open_video(path)\n"
            "except VideoError as error: print(error)\n"
        )
        # It starts in the folder, because there may be another on the way to it that only its owner may enter.
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        (folder / "closed").chmod(0o700)
    assert done.stdout.strip() == "it cannot be opened (permission denied)", done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_of_a_run_that_is_ended(given, number):
    (given / "tmp").mkdir()
    write_video(given / "videos/long.mp4", moving(3000))
    words = "videos --weights re.safetensors --detector yunet --device cpu --workers 1 --csv scores.csv"
    environment = os.environ | {"TMPDIR": str(given / "tmp")}
    command = [sys.executable, "-m", "dfdc", "score", *words.split()]
    with subprocess.Popen(command, cwd=given, env=environment, stdout=subprocess.PIPE, text=True) as run:
        while not list((given / "tmp").glob("dfdc-score-*/in-use")):
            time.sleep(0.05)
            assert run.poll() is None
        run.send_signal(number)
        assert run.wait() == 130
    assert list((given / "tmp").glob("dfdc-score-*")) == []


def test_videos_are_named_below_the_folder_that_they_share(given, monkeypatch):
    monkeypatch.chdir(given)
    Path("other").mkdir()
    Path("other/a.MP4").touch()
    Path("other/a.txt").touch()
    assert find_videos([Path("videos/b.mov")]) == {Path("videos/b.mov"): "b.mov"}
    assert list(find_videos([Path("videos"), given / "videos/a.mp4"]).values()) == ["a.mp4", "b.mov"]
    assert list(find_videos([Path("other"), Path("videos/a.mp4")]).values()) == ["other/a.MP4", "videos/a.mp4"]
    Path("other/deep/er").mkdir(parents=True)
    Path("other/deep/er/c.webm").touch()
    Path("other/deep/loop").symlink_to("..")
    assert list(find_videos([Path("other")], recursive=True).values()) == ["a.MP4", "deep/er/c.webm"]
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
