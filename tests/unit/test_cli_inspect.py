import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import VALUES_OF_TYPES, columns, moving

from dfdc.cli.inspect import summary
from dfdc.cli.main import main
from dfdc.data.catalog import schemas
from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.writing import STREAMS, write_store
from dfdc.data.schemas.alignment import ALIGNED
from dfdc.data.schemas.clips import CLIPS
from dfdc.data.tables import write_table
from dfdc.figures.style import drawing
from dfdc.networks.weights.files import export_pth, save_weights
from dfdc.system.checksums import write_json
from dfdc.system.files import write_text

SCHEMAS = schemas()


def told(capsys, *arguments):
    """What the command prints about a file, which but for long paths fits a terminal of 100 columns."""
    assert main(["inspect", *map(str, arguments)]) == 0
    said = capsys.readouterr().out
    assert all(len(line) <= 100 for line in said.splitlines() if "/" not in line)
    return said


def refused(capsys, *arguments):
    assert main(["inspect", *map(str, arguments)]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    return printed.err


@pytest.fixture
def clips(tmp_path):
    """A table of 30 clips, every third of which failed."""
    row = dict.fromkeys(CLIPS.names) | {
        "part": "dfdc_train_part_0",
        "label": "REAL",
        "frames": 0,
        "bytes": 0,
    }
    rows = [
        row
        | {"video": f"video{n:02d}.mp4", "real_track": 7, "sha256": f"{n:064x}", "status": "ok" if n % 3 else "failed"}
        | ({"clip": n, "box": [n, 1, n + 10, 200]} if n % 3 else {"reason": ""})
        for n in range(30)
    ]
    write_table(tmp_path / "clips.parquet", CLIPS, columns(CLIPS, rows))
    return tmp_path / "clips.parquet"


def test_a_table(clips, capsys):
    said = told(capsys, clips)
    assert said.startswith(f"{clips}: table clips, 30 rows, {clips.stat().st_size / 1000:.3g} kB\n")
    about = dict(re.findall(r"^(\w+) +[\w ]+?  +.*\n(?: {20,}[^=]*\n)* +(= .*)$", said, re.MULTILINE))
    assert about["clip"] == "= 1 to 29, median 15; 10 null"
    assert about["status"] == "= ok 20, failed 10"
    assert about["video"] == "= 30 different, video00.mp4 to video29.mp4"
    assert about["real_track"] == "= all 7"
    assert about["box"] == "= values 1 to 200, median 20; 10 null"
    assert about["difference"] == "= all null"
    assert about["reason"] == "= empty 10; 20 null"
    for field in CLIPS:
        assert field.metadata[b"description"].decode().split()[0] in said
    assert "The first 5 rows:" in said
    assert "[1, 1, 11, 200]" in said
    assert "video04.mp4" in said
    assert "video05.mp4" not in said


def test_so_many_rows(clips, capsys):
    assert "The first 2 rows:" in told(capsys, clips, "--rows", 2)
    assert "The first" not in told(capsys, clips, "--rows", 0)
    assert "The first 30 rows:" in told(capsys, clips, "--rows", 99)
    assert "--rows is -1" in refused(capsys, clips, "--rows", -1)


def test_a_narrow_terminal(clips, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    assert max(map(len, told(capsys, clips).splitlines()[1:])) <= 72


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_table_empty_or_full_or_null(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    path = tmp_path / "t"
    write_table(path, SCHEMAS[name], [])
    assert f"table {name}, 0 rows" in told(capsys, path)
    full = {field.name: VALUES_OF_TYPES[field.type] for field in SCHEMAS[name]}
    write_table(path, SCHEMAS[name], columns(SCHEMAS[name], [full, {}]))
    assert told(capsys, path).count("; 1 null") == len(SCHEMAS[name])


@given(st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=30))
def test_the_summary_of_numbers(values):
    said = summary(pa.chunked_array([values], pa.int32()))
    numbers = [value for value in values if value is not None]
    if numbers:
        assert said.startswith(
            f"all {numbers[0]}" if len(set(numbers)) == 1 else f"{min(numbers)} to {max(numbers)}, median "
        )
    nulls = len(values) - len(numbers)
    assert said.endswith(f"; {nulls} null" if nulls and numbers else "all null" if nulls else said)


def test_long_lists_are_abbreviated(tmp_path, capsys):
    row = {field.name: VALUES_OF_TYPES[field.type] for field in ALIGNED}
    row |= {"frames": list(range(40)), "real_boxes": [[1.5, 2.0, 3.0, 4.0]] * 40}
    write_table(tmp_path / "t", ALIGNED, columns(ALIGNED, [row]))
    said = told(capsys, tmp_path / "t")
    assert "[0, 1, … 40]" in said
    assert "[[1.5, 2, 3, 4], [1.5, 2, 3, 4], … 40]" in said
    assert "lengths all 40; values 0 to 39, median 19.5" in said


def test_the_summary_of_truth_values():
    assert summary(pa.chunked_array([[True, False, None, True]], pa.bool_())) == "true 2, false 1; 1 null"


@given(st.lists(st.sampled_from(["REAL", "FAKE", "", "ok"]), min_size=1, max_size=30))
def test_the_summary_of_words(values):
    counts = dict(pair.rsplit(" ", 1) for pair in summary(pa.chunked_array([values], pa.string())).split(", "))
    assert counts == {word or "empty": str(values.count(word)) for word in values}


@pytest.fixture
def store(tmp_path):
    """Three clips: five pictures of 40 x 30, none, two of 20 x 50."""
    clips = [
        [encode_png(picture) for picture in moving(count, *size)] for count, size in ((5, (30, 40)), (2, (50, 20)))
    ]
    write_store(tmp_path / "s.arrow", [clips[0], [], clips[1]])
    return tmp_path / "s.arrow", [clips[0], [], clips[1]]


def test_a_store(store, capsys):
    path, clips = store
    said = told(capsys, path)
    sizes = [sum(map(len, clip)) for clip in clips]
    height, width = (cv2.imdecode(np.frombuffer(clips[0][0], np.uint8), 1).shape)[:2]
    assert said.startswith(f"{path}: store, 3 clips, 7 images, ")
    assert "images in a clip    0 to 5, median 2\n" in said
    assert f"bytes of a clip     0 to {sizes[0]}, median {sizes[2]}\n" in said
    assert f"sizes (images)      {width}x{height} (5), " in said
    write_store(path, [])
    assert told(capsys, path).startswith(f"{path}: store, 0 clips, 0 images")


def test_pictures_are_taken_out_as_they_are(store, tmp_path, capsys):
    path, clips = store
    assert told(capsys, path, "--clip", 2, "--out", tmp_path / "new" / "folder").startswith("2 images of clip 2")
    written = sorted((tmp_path / "new" / "folder").iterdir())
    assert [file.name for file in written] == ["00002-000.png", "00002-001.png"]
    assert [file.read_bytes() for file in written] == clips[2]


def test_clips_that_there_are_not(store, clips, tmp_path, capsys):
    path, _ = store
    out = tmp_path / "out"
    for clip in (3, -1):
        assert f"has no clip {clip}: its clips are numbered 0 to 2." in refused(
            capsys, path, "--clip", clip, "--out", out
        )
    assert "belong together" in refused(capsys, path, "--clip", 0)
    assert "belong together" in refused(capsys, path, "--out", out)
    assert "holds no clips: --clip takes a store" in refused(capsys, clips, "--clip", 0, "--out", out)
    write_store(path, [])
    assert "it holds no clips." in refused(capsys, path, "--clip", 0, "--out", out)
    assert not out.exists()


STATE = {
    "_fc.weight": torch.ones(1, 8),
    "_bn0.num_batches_tracked": torch.tensor(3),
    "_conv.weight": torch.ones(4, 3, 2, 2),
}


def test_weights(tmp_path, capsys):
    about = {"kind": "frame", "crop": {"pad": True, "smaller_side": 192}, "name": "re"}
    save_weights(tmp_path / "w", STATE, about, torch.float16)
    said = told(capsys, tmp_path / "w")
    assert f"{tmp_path / 'w'}: weights, 3 tensors, 57 numbers, " in said
    assert "float16   56 numbers, 112 B\n" in said
    assert "int64     1 numbers, 8 B\n" in said
    assert said.endswith("\ncrop\n  pad           true\n  smaller_side  192\nkind  frame\nname  re\n")
    export_pth(tmp_path / "w.pth", STATE)
    said = told(capsys, tmp_path / "w.pth")
    assert "weights, 3 tensors, 57 numbers" in said
    assert "It has no metadata." in said


def test_a_submission(tmp_path, capsys):
    path = tmp_path / "submission.csv"
    write_text(path, "filename,label\na.mp4,0.5\nb.mp4,0.25\nc.mp4,0.75\nd.mp4,0.99\n")
    said = told(capsys, path, "--rows", 1)
    assert f"{path}: submission, 4 videos" in said
    assert "0.25 to 0.99, median 0.625" in said
    assert re.search(r"more than 0.5 +2\n.*less than 0.5 +1\n.*exactly 0.5 +1 ", said)
    assert said.endswith("The first 1 row:\na.mp4  0.5\n")
    write_text(path, f"filename,label\na.mp4,{1 / 3!r}\n")
    assert told(capsys, path).endswith("The first 1 row:\na.mp4  0.3333\n")
    for text in ("filename,label\na.mp4,high\n", "filename,label\na.mp4\n"):
        write_text(path, text)
        assert "must have a name and a number in each line" in refused(capsys, path)


def test_an_evaluation(tmp_path, capsys):
    path = tmp_path / "evaluation.json"
    write_json(path, {"ensemble": {"videos": 26, "log_loss": 0.19123}, "models": {"re": {"auc": 0.5}}})
    assert "ensemble\n  videos    26\n  log_loss  0.1912\nmodels\n  re\n    auc  0.5\n" in told(capsys, path)


def test_numbers_in_lists_are_short_too(tmp_path, capsys):
    path = tmp_path / "evaluation.json"
    write_json(path, {"ensemble": {"intervals": {"auc": [1 / 3, 1.0], "log_loss": None}}})
    assert "auc       [0.3333, 1]\n    log_loss  null\n" in told(capsys, path)


def test_a_calibration(tmp_path, capsys):
    path = tmp_path / "calibration.json"
    write_json(path, {"clips": 48, "as_given": {"exponent": 1.0}, "exponent": {"exponent": 0.83746825}})
    said = told(capsys, path)
    assert said.startswith(f"{path}: calibration\n")
    assert "exponent\n  exponent  0.8375\n" in said


def test_labels_are_no_submission(tmp_path, capsys):
    path = tmp_path / "labels.csv"
    write_text(path, "filename,label\na.mp4,0\nb.mp4,1\nc.mp4,1\n")
    said = told(capsys, path)
    assert f"{path}: labels, 3 videos" in said
    assert said.endswith("fake  2\nreal  1\n")
    write_text(path, "filename,label,method\na.mp4,0,\nb.mp4,1,swap\nc.mp4,1,swap\n")
    assert told(capsys, path).endswith("fake  2\nreal  1\nmethods  swap 2\n")


def test_figures(tmp_path, capsys):
    with drawing(tmp_path / "a.svg", 4, 3):
        pass
    assert f"{tmp_path / 'a.svg'}: figure, SVG, 288pt x 216pt, " in told(capsys, tmp_path / "a.svg")
    cv2.imwrite(str(tmp_path / "b.jpg"), np.zeros((20, 30, 3), np.uint8))
    assert f"{tmp_path / 'b.jpg'}: figure, JPEG, 30 x 20 pixels, " in told(capsys, tmp_path / "b.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:8])
    assert "cannot be read as a figure" in refused(capsys, tmp_path / "b.jpg")
    (tmp_path / "a.svg").write_text("<?xml version='1.0'?><svg>")
    assert "cannot be read as a figure" in refused(capsys, tmp_path / "a.svg")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "It is empty"),
        (b"\x00\x00\x00 ftypisom and so on", "was not written by a stage"),
        (b"PAR1 and nothing more", "cannot be read as a table"),
        (b"ARROW1 and nothing more", "cannot be read as a store"),
        (b"PK\3\4 and nothing more", "the weights cannot be read"),
        (b"\2\0\0\0\0\0\0\0{{ and nothing more", "the weights cannot be read"),
        (b'{"a.mp4": {"label": "REAL"}}', "is JSON, but neither an evaluation nor a calibration"),
        (b"{]", "is not valid JSON"),
        (b'{"ensemble"]', "is not valid JSON"),
    ],
)
def test_what_no_stage_writes(content, words, tmp_path, capsys):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert words in refused(capsys, path)


def test_files_of_others(tmp_path, capsys):
    path = tmp_path / "file"
    pq.write_table(pa.table({"a": [1]}), path)
    assert "its metadata name no table" in refused(capsys, path)
    table = pa.table({"a": [1]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    assert "not a store: its columns are a." in refused(capsys, path)
    write_store(path, [[b"no picture"]])
    assert "an image in it is not a PNG file" in refused(capsys, path)
    assert "is a folder" in refused(capsys, tmp_path)
    assert "does not exist" in refused(capsys, tmp_path / "none")


def test_a_damaged_store(store, capsys):
    path, _ = store
    os.truncate(path, path.stat().st_size - 40)
    assert f"{path} is damaged: it cannot be read as a store" in refused(capsys, path)


def test_torch_is_not_imported_for_tables(clips):
    code = "import sys; from dfdc.cli.main import main; main(['inspect', sys.argv[1]]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(clips)], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


def test_a_store_of_streams(tmp_path, capsys):
    path = tmp_path / "s.arrow"
    write_store(path, [[b"real", b"fake one"], [b"r", b"f"]], STREAMS)
    assert "store, 2 variants" in told(capsys, path)
    assert main(["inspect", str(path), "--clip", "0", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/00000-001.h264").read_bytes() == b"fake one"
