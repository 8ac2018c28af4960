import re
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import VALUES_OF_TYPES, columns

from dfdc.data.arrays import boxes_of
from dfdc.data.catalog import schemas, type_in_words
from dfdc.data.columns import name_of
from dfdc.data.schemas.alignment import ALIGNED, AlignedTrack
from dfdc.data.schemas.clips import CLIPS, Clip
from dfdc.data.schemas.crops import CROPS, Crop
from dfdc.data.schemas.detections import DETECTIONS
from dfdc.data.schemas.evaluation import EVALUATED, Evaluated
from dfdc.data.schemas.pairs import PAIRS, VARIANTS, Pair, Variant
from dfdc.data.schemas.scores import SCORES, FrameScore
from dfdc.data.schemas.tracks import TRACKS
from dfdc.data.schemas.training import VALIDATION, Measurement
from dfdc.data.schemas.validation_scores import VALIDATION_SCORES, ValidationScore
from dfdc.data.schemas.videos import TEST_VIDEOS, VIDEOS, TrainingVideo
from dfdc.data.schemas.videos import TestVideo as VideoForTest
from dfdc.data.tables import read_rows, read_table, write_table
from dfdc.system.errors import UserError

SCHEMAS = schemas()


def row(name):
    return {field.name: VALUES_OF_TYPES[field.type] for field in SCHEMAS[name]}


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_table_comes_back_as_it_was_written(tmp_path, name):
    rows = [row(name), dict.fromkeys(SCHEMAS[name].names), row(name)]
    write_table(tmp_path / "t.parquet", SCHEMAS[name], columns(SCHEMAS[name], rows))
    assert read_table(tmp_path / "t.parquet", SCHEMAS[name]).to_pylist() == rows


ROWS = {
    AlignedTrack: ALIGNED,
    Clip: CLIPS,
    Crop: CROPS,
    Evaluated: EVALUATED,
    FrameScore: SCORES,
    Measurement: VALIDATION,
    Pair: PAIRS,
    VideoForTest: TEST_VIDEOS,
    TrainingVideo: VIDEOS,
    Variant: VARIANTS,
    ValidationScore: VALIDATION_SCORES,
}


def test_every_table_has_a_class_or_comes_in_columns():
    columnar = {"detections", "tracks", "metrics"}
    assert sorted([*(name_of(schema) for schema in ROWS.values()), *columnar]) == sorted(SCHEMAS)


@pytest.mark.parametrize(("kind", "schema"), ROWS.items())
def test_a_row_has_the_columns_of_its_table(tmp_path, kind, schema):
    assert [field.name for field in fields(kind)] == schema.names
    rows = [kind(**row(name_of(schema))), kind(*[None] * len(schema))]
    write_table(tmp_path / "t.parquet", schema, rows)
    assert read_rows(tmp_path / "t.parquet", schema, kind) == rows
    write_table(tmp_path / "u.parquet", schema, columns(schema, list(map(asdict, rows))))
    assert (tmp_path / "u.parquet").read_bytes() == (tmp_path / "t.parquet").read_bytes()


def test_rows_of_another_table_are_refused(tmp_path):
    write_table(tmp_path / "t", TRACKS, columns(TRACKS, [row("tracks")]))
    with pytest.raises(TypeError, match="the fields of FrameScore are not the table"):
        read_rows(tmp_path / "t", TRACKS, FrameScore)
    with pytest.raises(ValueError, match="table tracks: missing or unknown columns"):
        write_table(tmp_path / "u", TRACKS, [FrameScore("a", 0, 0, 0.5)])


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_table_may_be_empty(tmp_path, name):
    write_table(tmp_path / "t.parquet", SCHEMAS[name], [])
    table = read_table(tmp_path / "t.parquet", SCHEMAS[name])
    assert table.num_rows == 0
    for field in SCHEMAS[name]:
        if field.name == "box":
            assert boxes_of(table["box"]).shape == (0, 4)


def test_a_table_explains_itself(tmp_path):
    for name, schema in SCHEMAS.items():
        write_table(tmp_path / name, schema, columns(schema, [row(name)]))
        written = pq.read_schema(tmp_path / name)
        assert written.metadata[b"table"] == name.encode()
        for field in schema:
            assert len(written.field(field.name).metadata[b"description"]) > 3


@pytest.mark.parametrize(
    "table", [{"video": [], "track": [], "frame": []}, columns(SCORES, [row("scores")]) | {"more": [1]}]
)
def test_missing_and_unknown_columns_are_refused(tmp_path, table):
    with pytest.raises(ValueError, match=r"table scores.*(probability|more)"):
        write_table(tmp_path / "t", SCORES, table)
    assert list(tmp_path.iterdir()) == []


def test_values_that_do_not_fit_are_refused(tmp_path):
    for change in ({"frame": "seven"}, {"frame": 2**40}, {"box": [1.0, 2.0, 3.0]}):
        with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
            write_table(tmp_path / "t", DETECTIONS, columns(DETECTIONS, [row("detections") | change]))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_such_table_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"absent\.parquet is missing.*Run snakemake"):
        read_table(tmp_path / "absent.parquet", TRACKS)
    for content in (b"", b"PAR1 and nothing more", b"some text that is long enough to be read as a file"):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(UserError, match=r"bad is damaged: it cannot be read as a table.*Delete it"):
            read_table(tmp_path / "bad", TRACKS)
    write_table(tmp_path / "t", TRACKS, columns(TRACKS, [row("tracks")]))
    (tmp_path / "cut").write_bytes((tmp_path / "t").read_bytes()[:-30])
    with pytest.raises(UserError, match="cannot be read"):
        read_table(tmp_path / "cut", TRACKS)
    with pytest.raises(UserError, match=r"is not a table of scores.*probability"):
        read_table(tmp_path / "t", SCORES)


def test_boxes_of_pieces():
    kind = pa.list_(pa.float32(), 4)
    boxes = [[float(4 * n + side) for side in range(4)] for n in range(5)]
    whole = pa.array(boxes, kind)
    expected = np.arange(20, dtype=np.float32).reshape(5, 4)
    for column in (whole, pa.chunked_array([whole]), pa.chunked_array([whole[:2], whole[2:]])):
        found = boxes_of(column)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(boxes_of(whole[1:3]), expected[1:3])


def test_types_in_words():
    words = {field.name: type_in_words(field.type) for field in ALIGNED}
    assert words == {
        **dict.fromkeys(("real", "fake", "status", "reason"), "string"),
        **dict.fromkeys(("real_track", "fake_track"), "int32"),
        "frames": "list of int32",
        **dict.fromkeys(("real_boxes", "fake_boxes"), "list of 4 float32"),
    }
    assert type_in_words(pa.float64()) == "float64"


def test_the_page_of_tables_is_up_to_date_and_whole():
    root = Path(__file__).parents[2]
    check = [sys.executable, "workflow/tables.py", "--check"]
    done = subprocess.run(check, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (root / "docs/tables.md").read_text()
    for name, schema in SCHEMAS.items():
        about = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert "\n- `results/" in about
        assert len(re.findall(r"^\| `", about, re.MULTILINE)) == len(schema)
    for rule, file in (("train", "results/models/{model}/metrics.parquet"), ("pair_clips", "results/pairs.parquet")):
        assert f"- `{file}`, written by `{rule}`\n" in page


def test_reading_starts_no_thread(tmp_path):
    """A process that ends soon after Arrow has started threads is at times aborted, with status 134."""
    write_table(tmp_path / "t.parquet", VALIDATION, [Measurement(1, "plain", 5, 0.5, 0.5)] * 1000)
    code = (
        "import sys, psutil, dfdc.data.tables as tables; from pathlib import Path; me = psutil.Process()\n"
        "before = me.num_threads(); rows = len(tables.read_any_table(Path(sys.argv[1])))\n"
        "print(rows, me.num_threads() - before)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "t.parquet")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1000 0\n"


def test_what_turns_tables_into_pandas_starts_no_thread_either():
    calls = {
        (path.name, call)
        for path in (Path(__file__).parents[2] / "lib").rglob("*.py")
        for call in re.findall(r"\.to_pandas\([^)]*\)", path.read_text())
    }
    assert len(calls) > 5
    assert {call for _, call in calls} == {".to_pandas(use_threads=False)"}
