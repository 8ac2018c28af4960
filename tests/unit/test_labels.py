import json

import pytest

from dfdc.data.labels import Label, read_details
from dfdc.system.errors import UserError


def test_a_csv_without_and_with_more_columns(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("filename,label\na.mp4,1\nb.mp4,0\n")
    assert read_details(path) == {"a.mp4": Label(1, "a.mp4"), "b.mp4": Label(0, "b.mp4")}
    path.write_text("\ufefffilename,label,method,original\na.mp4,1,swap,b.mp4\nb.mp4,0,,\n", encoding="utf-8")
    assert read_details(path) == {"a.mp4": Label(1, "b.mp4", "swap"), "b.mp4": Label(0, "b.mp4")}


def test_a_metadata_json(tmp_path):
    path = tmp_path / "metadata.json"
    fake = {"label": "FAKE", "original": "elsewhere.mp4", "method": "swap"}
    path.write_text(json.dumps({"a.mp4": fake, "b.mp4": {"label": "REAL"}}))
    assert read_details(path) == {"a.mp4": Label(1, "elsewhere.mp4", "swap"), "b.mp4": Label(0, "b.mp4")}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("l.csv", "filename,label\na.mp4,1\na.mp4,0\n", "a.mp4 has several labels, which differ"),
        ("l.json", '{"a.mp4": {"label": "FAKE"}, "a.mp4": {"label": "REAL"}}', "'a.mp4' has several entries"),
        ("l.csv", 'filename,label\n"a.mp4,1\nb.mp4,0\n', "must be a CSV"),
        ("l.csv", 'filename,label\na.mp4,1\nb.mp4,"0\n', "unexpected end of data"),
        ("l.csv", 'filename,label\n"a.mp4,1\n' + "b.mp4,0\n" * 20_000, "field larger than field limit"),
        ("l.csv", "filename,label\na.mp4\n", "must be a CSV"),
        ("l.json", "[" * 10_000, "must be a CSV"),
        ("l.json", '["a.mp4"]', "must be a CSV"),
        ("l.csv", "filename,label\na.mp4,2\n", "each label must be 0"),
    ],
)
def test_labels_that_cannot_be_meant(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said):
        read_details(tmp_path / name)


def test_the_same_label_twice(tmp_path):
    (tmp_path / "l.csv").write_text("filename,label\na.mp4,1\na.mp4,1\n")
    assert read_details(tmp_path / "l.csv") == {"a.mp4": Label(1, "a.mp4")}


def test_what_is_no_file_of_labels(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_details(tmp_path / "nowhere.csv")
    (tmp_path / "labels.csv").write_text("video;fake\n")
    with pytest.raises(UserError):
        read_details(tmp_path / "labels.csv")
