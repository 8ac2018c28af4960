"""Other data sets, as small trees of each kind, become parts and test videos."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import moving, write_video

from dfdc.cli.main import main
from dfdc.config.check import check_config
from dfdc.config.reading import merged, read_yaml
from dfdc.data.importing.division import groups_of, into_parts
from dfdc.data.importing.found import Found
from dfdc.data.labels import Label, read_details
from dfdc.data.parts import read_metadata
from dfdc.preflight.data import look_at_part
from dfdc.video.reading import open_video, read_frames

ROOT = Path(__file__).resolve().parents[2]
PAIRS = [("071", "054"), ("087", "081"), ("100", "077"), ("216", "164")]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", moving(3, 32, 32))


@pytest.fixture
def tree(tmp_path, video):
    """Makes the files of a data set, all of them the same video, and returns its folder."""

    def make(*names):
        for name in names:
            path = tmp_path / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(video, path)
        return tmp_path / "source"

    return make


@pytest.fixture
def faceforensics(tree):
    names = [f"original_sequences/youtube/c23/videos/{one}.mp4" for pair in PAIRS for one in pair]
    for method in ("Deepfakes", "NeuralTextures"):
        names += [f"manipulated_sequences/{method}/c23/videos/{a}_{b}.mp4" for a, b in PAIRS]
        names += [f"manipulated_sequences/{method}/c23/videos/{b}_{a}.mp4" for a, b in PAIRS]
    return tree(*names)


def imported(capsys, *arguments):
    """What an import prints; it succeeds."""
    assert main(["import", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def refused(capsys, *arguments):
    """The message of an import that fails."""
    assert main(["import", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def parts(folder):
    """{part: its metadata}, as the workflow reads and checks them, with links that lead to videos."""
    found = {}
    for part in sorted(folder.glob("[!.]*_part_*")):
        found[part.name] = read_metadata(part / "metadata.json")
        about = look_at_part(part)
        assert (about.fault, about.unreadable, about.without_original, about.unnamed) == ("", 0, 0, 0)
        assert len(list(read_frames(open_video(part / next(iter(found[part.name])))))) == 3
    return found


def state(folder):
    return {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


def test_faceforensics_as_parts(capsys, tmp_path, faceforensics):
    said = imported(capsys, "faceforensics", faceforensics, tmp_path / "data", "--parts", 2)
    assert "24 videos: 8 real, 16 fakes (8 Deepfakes, 8 NeuralTextures)\n2 parts of 12 to 12 videos" in said
    found = parts(tmp_path / "data")
    assert list(found) == ["faceforensics_part_0", "faceforensics_part_1"]
    people = [{one for name in part for one in name[:7].split("_") if one.isdigit()} for part in found.values()]
    assert not people[0] & people[1]
    fake = {"label": "FAKE", "original": "071.mp4", "method": "NeuralTextures"}
    assert found["faceforensics_part_0"]["071_054_NeuralTextures.mp4"] == fake
    assert found["faceforensics_part_0"]["071.mp4"] == {"label": "REAL"}
    data = yaml.safe_load((tmp_path / "data/faceforensics.yaml").read_text())["data"]
    assert data == {"root": str(tmp_path / "data"), "parts": list(found)}


def test_faceforensics_options(capsys, tmp_path, faceforensics):
    split = tmp_path / "val.json"
    split.write_text(json.dumps([PAIRS[0], PAIRS[3][::-1]]))
    options = ("--split", split, "--methods", "Deepfakes", "--name", "ff")
    assert "8 videos: 4 real, 4 fakes (4 Deepfakes)" in imported(
        capsys, "faceforensics", faceforensics, tmp_path, *options
    )
    (found,) = parts(tmp_path).values()
    assert sorted(found)[:3] == ["054.mp4", "054_071_Deepfakes.mp4", "071.mp4"]
    for content in ("[]", '["071"]', "[[1, 2]]", "{", '[["071", "054", "1"]]', "5"):
        split.write_text(content)
        assert "must be a JSON file such as" in refused(capsys, "faceforensics", faceforensics, tmp_path, *options)


def test_what_cannot_be_used_is_left_out(capsys, tmp_path, faceforensics):
    videos = faceforensics / "original_sequences/youtube/c23/videos"
    (videos / "071.mp4").unlink()
    (videos / "087.mp4").unlink()
    (videos / "087.mp4").touch()
    fakes = faceforensics / "manipulated_sequences/Deepfakes/c23/videos"
    (fakes / "other.mp4").touch()
    (fakes / "100_077.mp4").unlink()
    (fakes / "100_077.mp4").symlink_to("nowhere")
    said = imported(capsys, "faceforensics", faceforensics, tmp_path / "data")
    assert "7 left out:" in said
    left_out = json.loads((tmp_path / "data/faceforensics.json").read_text())["left_out"]
    at = "manipulated_sequences/Deepfakes/c23/videos"
    assert left_out[f"{at}/071_054.mp4"] == "its original 071.mp4 is not among the videos"
    assert left_out[f"{at}/087_081.mp4"] == "its original 087.mp4 is not among the videos"
    assert left_out["original_sequences/youtube/c23/videos/087.mp4"] == "it is empty"
    assert left_out[f"{at}/100_077.mp4"] == "it cannot be read: No such file or directory"
    assert left_out[f"{at}/other.mp4"] == "its name is not that of two videos, such as 071_054"
    parts(tmp_path / "data")


def test_as_test_videos_originals_may_be_absent(capsys, tmp_path, faceforensics):
    (faceforensics / "original_sequences/youtube/c23/videos/071.mp4").unlink()
    imported(capsys, "faceforensics", faceforensics, tmp_path / "data", "--test")
    labels = read_details(tmp_path / "data/faceforensics_test.csv")
    assert labels["071_054_Deepfakes.mp4"] == Label(1, "071.mp4", "Deepfakes")
    assert labels["054.mp4"] == Label(0, "054.mp4")
    assert {path.name for path in (tmp_path / "data/faceforensics_test").iterdir()} == set(labels)
    assert len(labels) == 23
    external = yaml.safe_load((tmp_path / "data/faceforensics_test.yaml").read_text())["data"]["external"]
    assert external["faceforensics"]["labels"] == str(tmp_path / "data/faceforensics_test.csv")


def test_celeb_df(capsys, tmp_path, tree):
    fakes = ["id0_id1_0000", "id0_id1_0001", "id1_id0_0005", "id2_id3_0000"]
    source = tree(
        *(f"Celeb-real/{name}.mp4" for name in ("id0_0000", "id0_0001", "id1_0005", "id2_0000", "other")),
        *(f"Celeb-synthesis/{name}.mp4" for name in fakes),
        *(f"YouTube-real/0000{number}.mp4" for number in range(3)),
    )
    said = imported(capsys, "celeb-df", source, tmp_path / "data", "--parts", "2")
    assert "11 videos: 7 real, 4 fakes (4 Celeb-synthesis)" in said
    assert "other.mp4: its name is not of the form id0_0000" in said
    found = parts(tmp_path / "data")
    assert set(found["celeb_df_part_0"]) == {"id0_0000.mp4", "id0_0001.mp4", "id1_0005.mp4"} | {
        f"{name}.mp4" for name in fakes[:3]
    }
    assert found["celeb_df_part_0"]["id0_id1_0001.mp4"]["original"] == "id0_0001.mp4"
    said = imported(capsys, "celeb-df", source, tmp_path / "data", "--parts", "8", "--name", "more")
    assert "Parts of even size are not possible without a person in two of them: 6 of 11 videos" in said
    options = ("--parts", "7", "--disjoint", "originals", "--name", "by_original")
    assert "7 parts of 1 to 2" in imported(capsys, "celeb-df", source, tmp_path / "data", *options)

    listed = source / "List_of_testing_videos.txt"
    listed.write_text("1 YouTube-real/00001.mp4\n0 Celeb-synthesis/id0_id1_0001.mp4\n1 Celeb-real/id2_0000.mp4\n")
    imported(capsys, "celeb-df", source, tmp_path / "data", "--split", "test", "--test")
    labels = read_details(tmp_path / "data/celeb_df_test.csv")
    assert labels == {
        "00001.mp4": Label(0, "00001.mp4"),
        "id0_id1_0001.mp4": Label(1, "id0_0001.mp4", "Celeb-synthesis"),
        "id2_0000.mp4": Label(0, "id2_0000.mp4"),
    }
    said = imported(capsys, "celeb-df", source, tmp_path / "data", "--split", "train", "--name", "train")
    assert "7 videos: 5 real, 2 fakes" in said
    assert "id2_id3_0000.mp4: its original id2_0000.mp4 is not among the videos" in said
    listed.unlink()
    os.mkfifo(listed)
    assert "it is not a file" in refused(capsys, "celeb-df", source, tmp_path / "x", "--split", "test")
    listed.unlink()
    for content in ("", "0 YouTube-real/00001.mp4\n", "1\n", "1 Celeb-synthesis/id0_id1_0001.mp4\n"):
        listed.write_text(content)
        assert "cannot be read" in refused(capsys, "celeb-df", source, tmp_path / "x", "--split", "test")


def test_the_preview_of_dfdc(capsys, tmp_path, tree):
    real, fake = "original_videos/123/123_C_001.mp4", "method_B/123/123_C/456_123_C_001.mp4"
    other = "method_A/123/123_C/456_123_C_001.mp4"
    source = tree(real, fake, other)
    entries = {
        real: {"label": "real", "set": "train", "target_id": 123, "swapped_id": None, "augmentations": []},
        fake: {"label": "fake", "set": "train", "target_id": 123, "swapped_id": 456, "augmentations": []},
        other: {"label": "fake", "set": "test", "target_id": 123, "swapped_id": 456, "augmentations": ["quality"]},
    }
    (source / "dataset.json").write_text(json.dumps(entries))
    assert "(1 method_A, 1 method_B)" in imported(capsys, "dfdc-preview", source, tmp_path / "data")
    (found,) = parts(tmp_path / "data").values()
    assert found["456_123_C_001_method_B.mp4"] == {"label": "FAKE", "original": "123_C_001.mp4", "method": "method_B"}
    said = imported(capsys, "dfdc-preview", source, tmp_path / "data", "--split", "test", "--test")
    assert "1 videos: 0 real, 1 fakes" in said
    paths = ("../x.mp4", "/x.mp4", "", "method_A/metadata.json", "x\0.mp4", "\ud800.mp4", "\ud800/x.mp4")
    names = [{path: entries[fake]} for path in paths]
    for wrong in (*names, {real: {"label": "REAL", "set": "train"}}, {}, [], {real: {}}):
        (source / "dataset.json").write_text(json.dumps(wrong))
        assert "is not the list of videos" in refused(capsys, "dfdc-preview", source, tmp_path / "x")


def test_the_test_set_of_dfdc(capsys, tmp_path, tree):
    source = tree("a.mp4", "b.mp4", "c.mp4")
    (source / "labels.csv").write_text("filename,label\na.mp4,1\nb.mp4,0\nd.mp4,1\n")
    said = imported(capsys, "dfdc-test", source, tmp_path / "data")
    assert "c.mp4: it has no label in labels.csv" in said
    assert "d.mp4: it is in labels.csv, but not there" in said
    labels = read_details(tmp_path / "data/dfdc_test.csv")
    assert labels == {"a.mp4": Label(1, "a.mp4"), "b.mp4": Label(0, "b.mp4")}
    assert "--parts is about training parts" in refused(capsys, "dfdc-test", source, tmp_path / "data", "--parts", 2)


def test_the_test_set_of_dfdc_in_a_folder_beside_its_labels(capsys, tmp_path, tree):
    source = tree("videos/a.mp4", "videos/b.mp4")
    (source / "labels.csv").write_text("filename,label\na.mp4,1\nb.mp4,0\n")
    assert "2 videos: 1 real, 1 fakes" in imported(capsys, "dfdc-test", source, tmp_path / "data")
    assert (tmp_path / "data/dfdc_test/a.mp4").samefile(source / "videos/a.mp4")


def test_deepfakedetection(capsys, tmp_path, tree):
    real, fake = "original_sequences/actors/c40/videos", "manipulated_sequences/DeepFakeDetection/c40/videos"
    source = tree(
        *(f"{real}/{name}.mp4" for name in ("01__exit_phone_room", "03__kitchen_pan", "x")),
        *(
            f"{fake}/{name}.mp4"
            for name in ("01_02__exit_phone_room__ABCDEFGH", "01_02__exit", "03_04__kitchen_pan__A1")
        ),
    )
    said = imported(capsys, "dfd", source, tmp_path / "data", "--compression", "c40", "--parts", "5")
    assert "4 videos: 2 real, 2 fakes (2 DeepFakeDetection)\n2 parts of 2 to 2 videos" in said
    found = parts(tmp_path / "data")
    original = found["dfd_part_0"]["01_02__exit_phone_room__ABCDEFGH.mp4"]["original"]
    assert original == "01__exit_phone_room.mp4"
    assert "there is no folder" in refused(capsys, "dfd", source, tmp_path / "data")
    (source / real / "03__kitchen_pan.mp4").unlink()
    said = imported(capsys, "dfd", source, tmp_path / "one", "--compression", "c40", "--parts", "5")
    assert "\n1 part of 2 videos\n" in said


def test_two_folders(capsys, tmp_path, tree):
    source = tree("real/a.mp4", "real/b.mov", "fake/swap/a_1.mp4", "fake/swap/b_1.mp4", "fake/b.mp4", "fake/c_9.mp4")
    rule = ("--rule", r"(.+)_\d+", r"\1")
    said = imported(capsys, "folders", source, tmp_path / "data", *rule)
    assert "(2 swap)" in said
    assert "fake/b.mp4: the rule does not fit" in said
    assert "fake/c_9.mp4: its original c.mp4 is not among the videos" in said
    (found,) = parts(tmp_path / "data").values()
    assert found["b_1_swap.mp4"] == {"label": "FAKE", "original": "b.mov", "method": "swap"}
    table = tmp_path / "pairs.csv"
    table.write_text("fake,original,method\nswap/a_1.mp4,a.mp4,\nb.mp4,b.mov,blend\n")
    imported(capsys, "folders", source, tmp_path / "data", "--pairs", table, "--name", "listed")
    found = read_metadata(tmp_path / "data/listed_part_0/metadata.json")
    assert {name: entry.get("method") for name, entry in found.items()} == {
        "a.mp4": None,
        "b.mov": None,
        "a_1_swap.mp4": "swap",
        "b_blend.mp4": "blend",
    }
    table.write_text("fake,original,method\nswap/a_1.mp4,a.mp4,x/y\nb.mp4,b.mov,x\0\nc_9.mp4,a.mp4,blend\n")
    said = imported(capsys, "folders", source, tmp_path / "data", "--pairs", table, "--name", "methods")
    assert "fake/swap/a_1.mp4: its name would be 'a_1_x/y.mp4', which no file can have" in said
    assert r"fake/b.mp4: its name would be 'b_x\x00.mp4', which no file can have" in said
    os.mkfifo(tmp_path / "pipe.csv")
    for options, said in (
        ((), "Give one of --rule and --pairs"),
        ((*rule, "--pairs", table), "Give one of --rule and --pairs"),
        (("--rule", "(", "x"), "is not a regular expression"),
        (("--rule", "(.+)", r"\2"), "is not a regular expression"),
        (("--pairs", tmp_path / "none.csv"), "must be a CSV with the columns fake and original"),
        (("--pairs", tmp_path / "pipe.csv"), "it is not a file"),
        ((*rule, "--real", "reals"), "there is no reals in it; it holds fake, real"),
        ((*rule, "--split", "test"), "--split is no option of folders, which has --real"),
    ):
        assert said in refused(capsys, "folders", source, tmp_path / "x", *options)


def test_a_second_call_does_nothing_and_a_stopped_one_goes_on(capsys, tmp_path, faceforensics, monkeypatch):
    arguments = ("faceforensics", faceforensics, tmp_path / "data", "--parts", 3)
    imported(capsys, *arguments)
    whole = state(tmp_path / "data")
    assert "Nothing to do" in imported(capsys, *arguments)
    assert state(tmp_path / "data") == whole
    names = {path.relative_to(tmp_path / "data") for path in whole}
    for stop in (1, 8, 11, 14, 23):
        shutil.rmtree(tmp_path / "data")
        made = []
        symlink = os.symlink

        def stopping(target, path, *rest, made=made, stop=stop, symlink=symlink, **options):
            made.append(path)
            if len(made) > stop:
                raise KeyboardInterrupt
            symlink(target, path, *rest, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, "symlink", stopping)
            assert main(["import", *map(str, arguments)]) == 130
        for part in (tmp_path / "data").glob("faceforensics_part_*"):
            assert look_at_part(part).missing == 0
        left = {path for path in (tmp_path / "data").rglob("*.mp4")}
        inodes = {path.lstat().st_ino for path in left}
        assert "Made" in imported(capsys, *arguments)
        assert {path.relative_to(tmp_path / "data") for path in (tmp_path / "data").rglob("*")} == names
        assert inodes <= {path.lstat().st_ino for path in (tmp_path / "data").rglob("*.mp4")}


def test_nothing_is_left_of_a_stopped_call_with_other_options(capsys, tmp_path, faceforensics):
    (tmp_path / "data/.faceforensics_part_0.import").mkdir(parents=True)
    (tmp_path / "data/.faceforensics_part_7.import").mkdir()
    (tmp_path / "data/.faceforensics_val_part_0.import").mkdir()  # of another import
    for number in (0, 7):
        (tmp_path / f"data/.faceforensics_part_{number}.import/old.mp4").symlink_to("nowhere")
    (tmp_path / "data/.faceforensics_part_0.import/071.mp4").symlink_to("nowhere")
    imported(capsys, "faceforensics", faceforensics, tmp_path / "data")
    (found,) = parts(tmp_path / "data").values()
    assert len(found) == 24
    left = [path.name for path in (tmp_path / "data").rglob("*.import")]
    assert left == [".faceforensics_val_part_0.import"]


def test_links_follow_when_the_data_set_has_moved(capsys, tmp_path, faceforensics):
    imported(capsys, "faceforensics", faceforensics, tmp_path / "data")
    faceforensics.rename(tmp_path / "moved")
    assert "Made" in imported(capsys, "faceforensics", tmp_path / "moved", tmp_path / "data")
    parts(tmp_path / "data")
    (tmp_path / "disk").mkdir()
    for name in ("moved", "data"):  # together, as if mounted elsewhere
        (tmp_path / name).rename(tmp_path / "disk" / name)
    parts(tmp_path / "disk/data")


def test_what_is_there_is_never_replaced(capsys, tmp_path, faceforensics):
    data = tmp_path / "data"
    imported(capsys, "faceforensics", faceforensics, data, "--parts", 2)
    before = state(data)
    said = refused(capsys, "faceforensics", faceforensics, data, "--parts", 3)
    assert "is the record of another import, which differs in: parts, videos" in said
    (data / "faceforensics.json").unlink()
    before.pop(data / "faceforensics.json")
    (data / "faceforensics_part_1/071.mp4").unlink(missing_ok=True)
    (data / "faceforensics_part_1/more.mp4").touch()
    before = state(data)
    assert "is not what this import makes" in refused(capsys, "faceforensics", faceforensics, data, "--parts", 2)
    assert state(data) == before


def test_a_wrong_folder(capsys, tmp_path, faceforensics):
    said = refused(capsys, "faceforensics", faceforensics / "original_sequences", tmp_path / "x")
    assert "there is no original_sequences and no manipulated_sequences in it; it holds youtube" in said
    assert f"Did you mean {faceforensics}?" in said
    assert f"Did you mean {faceforensics}?" in refused(capsys, "faceforensics", tmp_path, tmp_path / "x")
    assert "is not a folder" in refused(capsys, "celeb-df", tmp_path / "nowhere", tmp_path / "x")
    assert "does not look like Celeb-DF" in refused(capsys, "celeb-df", faceforensics, tmp_path / "x")
    said = refused(capsys, "faceforensics", faceforensics, tmp_path / "x", "--compression", "raw")
    assert "youtube/raw/videos. There is another compression: --compression c23" in said
    said = refused(capsys, "faceforensics", faceforensics, tmp_path / "x", "--methods", "FaceShifter")
    assert "manipulated_sequences/FaceShifter/c23/videos" in said
    shutil.rmtree(faceforensics / "original_sequences/youtube/c23/videos")
    (faceforensics / "original_sequences/youtube/c23/videos").mkdir()
    assert "holds no video" in refused(capsys, "faceforensics", faceforensics, tmp_path / "x")
    for options in (("--parts", 0), ("--name", "a/b"), ("--parts", 2, "--test")):
        assert options[0] in refused(capsys, "faceforensics", faceforensics, tmp_path / "x", *options)
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_read(capsys, tmp_path, faceforensics, monkeypatch):
    def denied(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", denied)
    said = refused(capsys, "faceforensics", faceforensics, tmp_path / "x")
    assert "youtube/c23/videos cannot be read (Permission denied). Correct its permissions" in said


def test_a_folder_that_cannot_be_written(capsys, tmp_path, faceforensics):
    (tmp_path / "x").touch()
    assert "cannot be written" in refused(capsys, "faceforensics", faceforensics, tmp_path / "x")


def test_the_settings_are_valid(capsys, tmp_path, faceforensics):
    imported(capsys, "faceforensics", faceforensics, tmp_path / "data")
    imported(capsys, "faceforensics", faceforensics, tmp_path / "data", "--test")
    config = read_yaml(ROOT / "config.yaml")
    for name in ("faceforensics", "faceforensics_test"):
        config = merged(config, read_yaml(tmp_path / f"data/{name}.yaml"))
    check_config(config)


# Videos of some people, each a fake of the one with the same number if there is one.
PEOPLE = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20, unique=True)


@given(PEOPLE, st.integers(1, 6))
@settings(max_examples=60)
def test_parts_are_disjoint_and_even(pairs, count):
    videos = [Found("", f"{one}.mp4", False, people=frozenset([one])) for one in {pair[0] for pair in pairs}]
    videos += [Found("", f"{a}_{b}.mp4", True, f"{a}.mp4", "", frozenset([a, b])) for a, b in pairs]
    groups = groups_of(videos, people=True)
    made = into_parts(groups, count)
    assert sorted(video.name for part in made for video in part) == sorted(video.name for video in videos)
    assert len(made) == min(count, len(groups))
    assert all(made)
    people = [frozenset().union(*(video.people for video in part)) for part in made]
    assert sum(map(len, people)) == len(frozenset().union(*people))
    sizes = [len(part) for part in made]
    assert max(sizes) - min(sizes) <= max(map(len, groups))
    assert into_parts(groups_of(videos[::-1], people=True), count) == made
    by_original = groups_of(videos, people=False)
    assert len(by_original) == len({video.original or video.name for video in videos})
