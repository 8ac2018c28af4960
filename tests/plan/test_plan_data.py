"""Changes of data, and files that are gone: what would run again."""

import json
import shutil

import pytest

from dfdc.data.parts import shard_of

PART = "demo/data/dfdc_train_part_0"


@pytest.fixture(autouse=True, scope="module")
def _data_are_no_output(_copy_of_module):
    """Take the finished run for one of data that the workflow did not make."""
    done = _copy_of_module.snakemake("--touch", own_data=True)
    assert done.returncode == 0, done.stdout


def videos_in(project):
    return sorted((project.demo / "data/test_videos").glob("*.mp4"))


def test_nothing_changed(project):
    assert project.plan(own_data=True) == []


def test_data_root_spelled_in_another_way(project):
    for root in (project.demo / "data", "./data/../data"):
        assert project.plan(settings={"data": {"root": str(root)}}, own_data=True) == []


def test_data_moved(project, tmp_path):
    shutil.copytree(project.demo / "data", tmp_path / "moved")
    assert project.plan(settings={"data": {"root": str(tmp_path / "moved")}}, own_data=True) == []


def test_part_added(project, world):
    for file in sorted((project.folder / PART).iterdir()):
        project.write(f"demo/data/more/{file.name}", file.read_bytes())
    world = type(world)(part=(*world.part, "more"))
    plan = project.plan(settings={"data": {"parts": list(world.part)}}, own_data=True)
    assert plan == world.after("detect_faces more")


def test_part_found(project, world):
    for file in sorted((project.folder / PART).iterdir()):
        project.write(f"demo/data/dfdc_train_part_10/{file.name}", file.read_bytes())
    world = type(world)(part=(*world.part, "dfdc_train_part_10"))
    plan = project.plan(settings={"data": {"parts": "auto"}}, own_data=True)
    assert plan == world.after("detect_faces dfdc_train_part_10")


def test_part_removed(project, world):
    plan = project.plan(settings={"data": {"parts": ["dfdc_train_part_1"]}}, own_data=True)
    world = type(world)(part=("dfdc_train_part_1",))
    assert plan == world.after("pair_clips", "draw_data_figures")


def test_entry_of_metadata_removed(project, world):
    path = f"{PART}/metadata.json"
    metadata = json.loads((project.folder / path).read_text())
    fake = next(name for name, entry in metadata.items() if entry["label"] == "FAKE")
    del metadata[fake]
    project.write(path, json.dumps(metadata).encode())
    assert project.plan(own_data=True) == world.after("detect_faces dfdc_train_part_0")


def test_training_video_replaced(project, world):
    video, *_ = sorted((project.folder / PART).glob("*.mp4"))
    project.write(f"{PART}/{video.name}", video.read_bytes() + b"more")
    assert project.plan(own_data=True) == world.after("detect_faces dfdc_train_part_0")


def test_test_video_added(project, world):
    name = next(name for name in (f"new{number}.mp4" for number in range(99)) if shard_of(name, 2) == 1)
    project.write(f"demo/data/test_videos/{name}", videos_in(project)[0].read_bytes())
    assert project.plan(own_data=True) == world.after("detect_test_faces 1")


def test_test_video_replaced(project, world):
    video, other = videos_in(project)[:2]
    project.write(f"demo/data/test_videos/{video.name}", other.read_bytes())
    assert project.plan(own_data=True) == world.after(f"detect_test_faces {shard_of(video.name, 2)}")


def test_test_video_removed(project, world):
    video = videos_in(project)[0]
    project.remove(f"demo/data/test_videos/{video.name}")
    assert project.plan(own_data=True) == world.after(f"detect_test_faces {shard_of(video.name, 2)}")


def test_file_that_is_no_video_added(project):
    project.write("demo/data/test_videos/README.txt", b"These are the test videos.\n")
    assert project.plan(own_data=True) == []


def test_labels_corrected(project, world):
    """The submission waits for the evaluation, so it is written again, with the same content."""
    path = "demo/data/test_labels.csv"
    head, first, *rest = (project.folder / path).read_text().splitlines()
    name, label, method = first.split(",")
    project.write(path, "\n".join([head, f"{name},{1 - int(label)},{method}", *rest, ""]).encode())
    assert project.plan(own_data=True) == world.after("evaluate", "draw_score_figures")


def test_intermediate_table_gone(project, world):
    project.remove("demo/results/tracks/dfdc_train_part_0.parquet")
    assert project.plan(own_data=True) == []
    assert project.plan(settings={"ensemble": {"exponent": 0.5}}, own_data=True) == world.after(
        "evaluate", "evaluate_validation", "submission", "draw_score_figures", "release_weights"
    )
    wanted = sorted([*world.after("align_tracks"), "build_tracks dfdc_train_part_0"])
    assert project.plan(settings={"alignment": {"min_iou": 0.4}}, own_data=True) == wanted


def test_submission_gone(project, world):
    project.remove("demo/submission.csv")
    assert project.plan(own_data=True) == world.after("submission")


def test_the_data_were_moved_away(project):
    """All that was made of them is up to date; whatever needs them does not start."""
    (project.demo / "data").rename(project.demo / "moved")
    try:
        assert project.plan(own_data=True) == []
        assert project.plan(settings={"data": {"parts": "auto"}}, own_data=True) == []
        report = project.dry_run("--report", "report.html", own_data=True)
        changed = project.dry_run(settings={"alignment": {"min_iou": 0.4}}, own_data=True)
    finally:
        (project.demo / "moved").rename(project.demo / "data")
    assert report.returncode == 0, report.stdout
    assert "roc.svg" in (project.demo / "report.html").read_text()
    assert changed.returncode == 1
    assert f"The data set is missing: {project.demo / 'data'}" in changed.stdout


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": {"test_labels": "test_lables.csv"}}, "The labels file data/test_lables.csv"),
        ({"data": {"test_labels": "test_videos"}}, "The labels file data/test_videos"),
        ({"data": {"test_videos": "test_vidoes"}}, "There are no test videos: the folder"),
        ({"data": {"root": "date", "test_labels": None}}, "The data set is missing"),
        ({"pretrained": {"efficientnet-lite0": "none.pth"}}, "none.pth (pretrained.efficientnet-lite0 in"),
    ],
)
def test_other_data_are_named_that_are_not_there(project, settings, message):
    """What was made of the data before is not up to date for these."""
    refused = project.dry_run(settings=settings, own_data=True)
    assert refused.returncode == 1
    assert message in refused.stdout
    assert "Nothing to be done" not in refused.stdout


def test_all_is_as_before(project):
    """The tests above put back what they changed."""
    assert project.plan(own_data=True) == []


def test_videos_are_replaced_by_others_with_the_same_faces(project, world):
    """Though detection has found the same again, the frames are others. (No test comes after this one.)"""
    videos = (videos_in(project)[0], min((project.folder / PART).glob("*.mp4")))
    for video in videos:
        video.write_bytes(video.read_bytes() + (8).to_bytes(4, "big") + b"free")
    stages = ("detect_test_faces", "detect_faces")
    done = project.snakemake("--touch", "--until", *stages, own_data=True)  # with the same results, in a second
    assert done.returncode == 0, done.stdout
    shard = shard_of(videos[0].name, 2)
    assert project.plan(own_data=True) == world.after(f"crop_test_faces {shard}", "extract_clips dfdc_train_part_0")
