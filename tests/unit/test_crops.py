from dataclasses import replace

import numpy as np
import pytest
from samples import moving, truncated, write_video

from dfdc.data.pictures.store import Store
from dfdc.data.schemas.crops import CROPS
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TestVideo as Video
from dfdc.data.tables import write_table
from dfdc.stages.prediction.crops import crop_test_faces, crop_video, cut_crops, plan_crops, plan_video
from dfdc.stages.prediction.settings.crops import CropSettings
from dfdc.video.boxes import enlarged
from dfdc.video.reading import open_video, read_frames

SETTINGS = CropSettings(1.5, 2, 14, 7, ("frame", "sequence"))


def track(kept, first=0, step=2, video="a.mp4", number=0):
    """A face that moves: its frames, step 2 apart, and a box at each."""
    frames = [first + step * n for n in range(kept)]
    return Track(video, number, frames, np.float32([[20 + n, 10, 60 + n, 50] for n in range(kept)]), [None] * kept)


def plan(kept, kinds=("frame", "sequence")):
    settings = CropSettings(1.5, 2, 14, 7, kinds)
    return list(plan_crops(track(kept, number=4), 128, 96, settings))


@pytest.mark.parametrize(
    ("kept", "faces", "windows"), [(1, 1, 0), (6, 3, 0), (7, 4, 1), (20, 10, 1), (21, 11, 2), (150, 75, 11)]
)
def test_how_many_faces_and_windows(kept, faces, windows):
    crops = plan(kept)
    assert [crop.kind for crop in crops] == ["frame"] * faces + ["sequence"] * windows
    assert plan(kept, ("frame",)) == crops[:faces]
    assert plan(kept, ("sequence",)) == crops[faces:]


def test_which_frames_and_boxes():
    frames, boxes = track(30).frames, track(30).boxes
    crops = plan(30)
    faces = [crop for crop in crops if crop.kind == "frame"]
    assert [(crop.track, crop.ordinal, crop.frames) for crop in faces] == [(4, n, (4 * n,)) for n in range(15)]
    for crop in faces:
        assert crop.box == enlarged(boxes[2 * crop.ordinal], 1.5, 128, 96)
    windows = [crop for crop in crops if crop.kind == "sequence"]
    assert [(crop.ordinal, crop.frames) for crop in windows] == [
        (0, (0, 2, 4, 6, 8, 10, 12)),
        (1, (28, 30, 32, 34, 36, 38, 40)),
    ]
    assert [crop.box for crop in windows] == [enlarged(boxes[middle], 1.5, 128, 96) for middle in (3, 17)]
    assert frames[17] == windows[1].frames[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inference")
    write_video(folder / "a.mp4", moving(62, seed=1))
    write_video(folder / "b.mp4", moving(62, seed=2))
    write_video(folder / "x.mp4", moving(62, seed=3), index_first=True)
    (folder / "c.mp4").write_bytes(truncated(folder / "x.mp4", 0.7))
    return folder


TRACKS = {
    "a.mp4": [track(30), track(8, first=20, number=1)],
    "b.mp4": [track(16, video="b.mp4")],
    "c.mp4": [track(30, video="c.mp4")],
    "missing.mp4": [track(30, video="missing.mp4")],
}
VIDEOS = {
    name: Video(name, "damaged" if name == "c.mp4" else "ok", frames=62, in_order=True, width=128, height=96)
    for name in TRACKS
}


def crop(folder, store, workers=1, tracks=TRACKS):
    return crop_test_faces(folder, tracks, VIDEOS, store, SETTINGS, 1.0, workers)


def test_crops_are_the_pixels_of_the_video(folder, tmp_path):
    rows = crop(folder, tmp_path / "s.arrow")
    write_table(tmp_path / "crops", CROPS, rows)
    store = Store(tmp_path / "s.arrow")
    assert [row.batch for row in rows] == list(range(len(store)))
    assert {row.video for row in rows} == {"a.mp4", "b.mp4", "c.mp4"}
    for video in ("a.mp4", "b.mp4"):
        frames = dict(read_frames(open_video(folder / video)))
        planned = [one for chosen in TRACKS[video] for one in plan_crops(chosen, 128, 96, SETTINGS)]
        of_video = [row for row in rows if row.video == video]
        for row, one in zip(of_video, planned, strict=True):
            assert (row.track, row.kind, row.ordinal, row.frames) == (one.track, one.kind, one.ordinal, one.frames)
            x1, y1, x2, y2 = one.box
            np.testing.assert_array_equal(store.read(row.batch), [frames[n][y1:y2, x1:x2] for n in one.frames])


def test_of_a_damaged_video_what_is_whole_is_cut(folder, tmp_path):
    rows = [row for row in crop(folder, tmp_path / "s.arrow") if row.video == "c.mp4"]
    read = open_video(folder / "c.mp4")
    count = len(list(read_frames(read)))
    assert read.damage
    assert rows
    assert all(max(row.frames) < count for row in rows)
    assert len(rows) < len(plan(30))


def test_a_video_whose_tracks_are_too_short_for_a_window_is_readable(folder, tmp_path):
    settings = replace(SETTINGS, kinds=("sequence",))
    tracks = {"a.mp4": [track(settings.sequence_length - 1)], "b.mp4": TRACKS["b.mp4"]}
    rows = crop_test_faces(folder, tracks, VIDEOS, tmp_path / "s.arrow", settings, max_unreadable=0)
    assert {row.video for row in rows} == {"b.mp4"}


def test_processes_and_neighbours_make_no_difference(folder, tmp_path):
    rows = [crop(folder, tmp_path / f"{workers}.arrow", workers) for workers in (1, 2)]
    assert rows[0] == rows[1]
    assert (tmp_path / "1.arrow").read_bytes() == (tmp_path / "2.arrow").read_bytes()
    alone = crop(folder, tmp_path / "b.arrow", tracks={"b.mp4": TRACKS["b.mp4"]})
    assert [row.sha256 for row in alone] == [row.sha256 for row in rows[0] if row.video == "b.mp4"]
    assert crop(folder, tmp_path / "none.arrow", tracks={}) == []


def test_a_video_alone_has_the_same_crops(folder, tmp_path):
    rows = crop(folder, tmp_path / "all.arrow")
    together = Store(tmp_path / "all.arrow")
    for name, of_video in TRACKS.items():
        alone, reason = crop_video(folder / name, of_video, VIDEOS[name], tmp_path / "one.arrow", SETTINGS)
        assert (reason == "the file is missing") == (name == "missing.mp4")
        store = Store(tmp_path / "one.arrow")
        expected = [row for row in rows if row.video == name]
        assert len(alone) == len(expected) == len(store)
        for row, other in zip(alone, expected, strict=True):
            assert replace(row, batch=0) == replace(other, batch=0)
            pictures = zip(store.read(row.batch), together.read(other.batch), strict=True)
            assert all(np.array_equal(one, same) for one, same in pictures)


def test_a_crop_is_given_as_soon_as_it_is_complete(folder):
    """So that no more than a few are in memory: between two crops no more is decoded than the next one needs."""
    crops = list(plan_video(TRACKS["a.mp4"], VIDEOS["a.mp4"], SETTINGS))
    cut = cut_crops(folder / "a.mp4", crops, None, pytest.fail)
    ends = [crops[one.number].frames[-1] for one in cut]
    assert ends == sorted(ends)
    assert len(ends) == len(crops)
    taken = next(cut_crops(folder / "c.mp4", crops, None, pytest.fail))  # its end is missing
    assert (crops[taken.number].frames, len(taken.pictures)) == ((0,), 1)
