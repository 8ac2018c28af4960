import os
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
from samples import frame_data, moving, overwritten, truncated, write_sound, write_video

from dfdc.data.schemas.detections import DETECTIONS, face_columns
from dfdc.data.schemas.videos import TEST_VIDEOS, VIDEOS
from dfdc.data.tables import write_table
from dfdc.stages.faces.detection.detect import detect_faces, detect_test_faces
from dfdc.stages.faces.detection.detectors import build_detector
from dfdc.stages.faces.detection.videos import detect_video
from dfdc.system.errors import UserError
from dfdc.system.workers.pool import LACK_OF_MEMORY
from dfdc.video.boxes import iou
from dfdc.video.unreadable import check_readable
from published import YUNET


@pytest.fixture(scope="module")
def astronaut(astronaut):
    return astronaut[0:320, 60:380].copy()


@pytest.fixture(scope="module")
def detector():
    return build_detector(YUNET, "cpu", 8)


def walk(picture, count, height=None, width=None):
    """A camera that pans over a picture: the face moves 2 pixels to the right with each frame."""
    frames = [np.roll(picture, 2 * index, axis=1) for index in range(count)]
    return frames if height is None else [cv2.resize(frame, (width, height)) for frame in frames]


@pytest.fixture(scope="module")
def part(tmp_path_factory, astronaut):
    """A part with every fault that a file can have, and sound neighbours."""
    folder = tmp_path_factory.mktemp("detection") / "dfdc_train_part_0"
    folder.mkdir()
    write_video(folder / "good.mp4", walk(astronaut, 20))
    write_video(folder / "neighbour.mp4", walk(astronaut, 20), index_first=True)
    write_video(folder / "noface.mp4", moving(14, 120, 160))
    write_video(folder / "oneframe.mp4", walk(astronaut, 1))
    write_video(folder / "odd.mp4", walk(astronaut, 7, 251, 301), pixel_format="yuv444p")
    write_video(folder / "vfr.mp4", walk(astronaut, 8), times=[0, 1, 2, 300, 301, 900, 901, 2000])
    write_sound(folder / "sound.mp4")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a video\n" * 99)
    (folder / "noindex.mp4").write_bytes(truncated(folder / "good.mp4", 0.7))
    (folder / "cut.mp4").write_bytes(truncated(folder / "neighbour.mp4", 0.7))
    (folder / "middle.mp4").write_bytes(overwritten(folder / "good.mp4", 0.5, 20000))
    (folder / "folder.mp4").mkdir()
    return folder


def as_lists(faces):
    """Frames, boxes and scores, which then can be compared."""
    return faces.frames.tolist(), faces.boxes.tolist(), faces.scores.tolist()


def metadata_of(folder):
    names = [*(path.name for path in folder.iterdir()), "missing.mp4"]
    fakes = {name: {"label": "FAKE", "split": "train", "original": "good.mp4"} for name in names}
    return fakes | {"good.mp4": {"label": "REAL", "split": "train"}}


STATUS = {
    "cut.mp4": "damaged",
    "empty.mp4": "unreadable",
    "folder.mp4": "unreadable",
    "good.mp4": "ok",
    "middle.mp4": "damaged",
    "missing.mp4": "unreadable",
    "neighbour.mp4": "ok",
    "noface.mp4": "no face",
    "noindex.mp4": "unreadable",
    "odd.mp4": "ok",
    "oneframe.mp4": "ok",
    "sound.mp4": "unreadable",
    "text.mp4": "unreadable",
    "vfr.mp4": "ok",
}


def test_every_video_has_a_row_and_a_reason(part, tmp_path, detector):
    detections, videos = detect_faces(part, metadata_of(part), YUNET, 0.5)
    write_table(tmp_path / "d", DETECTIONS, face_columns(detections))
    write_table(tmp_path / "v", VIDEOS, videos)
    assert {row.video: row.status for row in videos} == STATUS
    assert [row.video for row in videos] == sorted(STATUS)
    rows = {row.video: row for row in videos}
    by_name = {faces.video: as_lists(faces) for faces in detections}
    for row in videos:
        assert bool(row.reason) == (row.status != "ok")
        assert (row.label, row.original) == (("REAL", "") if row.video == "good.mp4" else ("FAKE", "good.mp4"))
        if row.status == "unreadable":
            assert (row.frames, row.width, row.height) == (0, 0, 0)
    assert rows["empty.mp4"].reason == "the file is empty"
    assert rows["missing.mp4"].reason == "the file is missing"
    assert rows["sound.mp4"].reason == "it has no video stream"
    for name in ("cut.mp4", "middle.mp4"):
        assert rows[name].reason.startswith(f"after frame {rows[name].frames - 1}: ")
        assert 0 < rows[name].frames < 20
        assert by_name[name]
    assert (rows["odd.mp4"].width, rows["odd.mp4"].height, rows["odd.mp4"].frames) == (301, 251, 7)
    assert (rows["good.mp4"].frames, rows["good.mp4"].fps) == (20, 25.0)
    # The neighbours of all this are as if they were alone.
    for name in ("good.mp4", "neighbour.mp4"):
        alone = as_lists(detect_video(part / name, detector, 6).detections())
        assert by_name[name] == alone
        assert alone[0] == [0, 6, 12, 18]


def test_two_processes_make_no_difference(part):
    chosen = {name: entry for name, entry in metadata_of(part).items() if name < "noface"}
    (faces, videos), (same, same_videos) = (detect_faces(part, chosen, YUNET, 0.6, workers=count) for count in (1, 2))
    assert [(one.video, as_lists(one)) for one in faces] == [(one.video, as_lists(one)) for one in same]
    assert videos == same_videos


@pytest.mark.parametrize("workers", [1, 2])
def test_wrong_weights_are_told_whatever_the_number_of_processes(part, tmp_path, workers):
    (tmp_path / "w.onnx").write_bytes(b"no network")
    settings = replace(YUNET, weights=str(tmp_path / "w.onnx"))
    with pytest.raises(UserError, match=r"w\.onnx cannot be used as YuNet weights"):
        detect_faces(part, metadata_of(part), settings, 1.0, workers=workers)


def test_boxes_follow_the_face(part, detector):
    found = detect_video(part / "good.mp4", detector, 6)
    boxes = [found.faces[frame][0, :4] for frame in (0, 6, 12, 18)]
    for before, after in pairwise(boxes):
        assert iou(before + np.float32([12, 0, 12, 0]), after) > 0.85
    assert all(0.6 <= found.faces[frame][0, 4] <= 1 for frame in found.faces)


@pytest.mark.parametrize(
    ("fps", "step"), [(30, 2), (29.97, 2), (25, 2), (24, 2), (23.98, 2), (15, 1), (14.9, 1), (8, 1), (60, 4), (50, 3)]
)
def test_about_fifteen_frames_a_second_are_kept(tmp_path, detector, fps, step):
    rate = Fraction(fps).limit_denominator(1001)
    path = write_video(tmp_path / "v.mp4", moving(3 * step * 2 + 1, 64, 64), fps=rate)
    found = detect_video(path, detector, 3, kept_fps=15)
    assert found.row.step == step
    assert list(found.faces) == [0, 3 * step, 6 * step]
    assert found.row.frames == 6 * step + 1


@pytest.mark.parametrize("fps", [7, 1])
def test_of_a_low_rate_every_frame_is_kept(tmp_path, detector, fps):
    found = detect_video(write_video(tmp_path / "v.mp4", moving(5, 64, 64), fps=fps), detector, 3, kept_fps=15)
    assert (found.row.status, found.row.step) == ("no face", 1)
    assert list(found.faces) == [0, 3]


def test_a_name_that_is_no_text_and_pictures_that_are_too_large(tmp_path, detector):
    path = write_video(tmp_path / os.fsdecode(b"caf\xe9.mp4"), moving(5, 64, 64))
    row = detect_video(path, detector, 3).row
    assert (row.video, row.status, row.reason) == ("caf\\xe9.mp4", "unreadable", "its name is not UTF-8")
    path = path.rename(tmp_path / "v.mp4")
    row = detect_video(path, detector, 3, max_pixels=64 * 64 - 1).row
    assert row.status == "unreadable"
    assert "64x64 have more than 4,095 pixels" in row.reason
    assert detect_video(path, detector, 3, max_pixels=64 * 64).row.status == "no face"


def test_unreadable_test_videos_stop_nothing(part, tmp_path):
    paths = [part / name for name in ("good.mp4", "empty.mp4", "missing.mp4", "text.mp4")]
    detections, videos = detect_test_faces(paths, YUNET, 15)
    write_table(tmp_path / "v", TEST_VIDEOS, videos)
    assert [(row.status, row.step) for row in videos] == [("ok", 2)] + [("unreadable", 0)] * 3
    assert [(faces.video, faces.frames.tolist()) for faces in detections] == [
        ("good.mp4", [0, 12]),
        *((path.name, []) for path in paths[1:]),
    ]
    assert detect_test_faces([], YUNET, 15) == ([], [])


def test_too_many_unreadable_videos(part):
    unreadable = {f"{n}.mp4": "it is gone" for n in range(3)}
    check_readable(unreadable, 10, part, 0.3)
    check_readable({}, 0, part, 0.0)
    with pytest.raises(UserError) as error:
        check_readable(unreadable, 10, part, 0.29)
    for words in ("3 of 10 videos", str(part), "data.max_unreadable (29%)", "0.mp4: it is gone"):
        assert words in str(error.value)
    with pytest.raises(UserError, match=r"6 of 14 videos"):
        detect_faces(part, metadata_of(part), YUNET, 0.05)


def test_unreadable_for_lack_of_memory(part):
    reason = f"the process that worked on it was killed (signal 9), {LACK_OF_MEMORY}"
    unreadable = {f"{n}.mp4": reason if n == 7 else "it is gone" for n in range(9)}
    with pytest.raises(UserError, match=r"(?s)9 of 9 videos .* fewer workers \(speed.workers .*max_unreadable"):
        check_readable(unreadable, 9, part, 0.1)
    with pytest.raises(UserError) as error:
        check_readable(dict.fromkeys(list(unreadable)[:7], "it is gone"), 7, part, 0.1)
    assert "workers" not in str(error.value)


def spoilt(path, whole, number):
    """A copy of a video in which the data of one frame are damaged."""
    content, (place, size) = bytearray(whole.read_bytes()), frame_data(whole)[number]
    content[place + size // 2 : place + size - 1] = bytes(size - 1 - size // 2)
    path.write_bytes(content)
    return path


def test_damage_in_what_no_sampled_frame_needs_is_not_noticed(tmp_path, detector, astronaut):
    """Frames 0, 6, 12, … are sampled; of the others the decoder needs some."""
    whole = write_video(tmp_path / "whole.mp4", walk(astronaut, 20), b_frames=2)
    expected = detect_video(whole, detector, 6)
    assert expected.row.status == "ok"
    noticed = []
    for number in range(20):
        found = detect_video(spoilt(tmp_path / "spoilt.mp4", whole, number), detector, 6)
        noticed.append(found.row.status == "damaged")
        if noticed[-1]:
            assert list(found.faces) == list(range(0, found.row.frames, 6))
        else:
            assert replace(found.row, video="whole.mp4") == expected.row
            assert as_lists(found.detections()) == as_lists(expected.detections())
    assert all(noticed[::6])
    assert 5 <= noticed.count(False) <= 14
