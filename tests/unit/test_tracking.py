import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.data.schemas.detections import DETECTIONS, detected_faces
from dfdc.data.schemas.tracks import TRACKS, Track, track_columns, tracks_of
from dfdc.data.tables import read_table, write_table
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.faces.tracking import interpolate, track_boxes, track_video
from dfdc.video.boxes import iou
from published import published

BOXES = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 6), st.integers(1, 6)).map(
    lambda box: (float(box[0]), float(box[1]), float(box[0] + box[2]), float(box[1] + box[3]))
)
FACES = st.lists(st.tuples(BOXES, st.sampled_from([0.1, 0.3, 0.5, 0.89, 0.9, 1.0])), max_size=4)
VIDEOS = st.lists(FACES, max_size=8).map(lambda frames: [(6 * n, faces) for n, faces in enumerate(frames)])
SETTINGS = st.builds(
    TrackerSettings,
    sigma_l=st.sampled_from([0.0, 0.3, 0.6]),
    sigma_h=st.sampled_from([0.0, 0.5, 0.9]),
    sigma_iou=st.sampled_from([0.1, 0.3, 0.5, 1.0]),
    t_min=st.integers(1, 4),
)
BOX = (10.0, 10.0, 50.0, 60.0)


def slow_iou(a, b):
    """Counted in unit squares: the boxes here have whole corners."""
    cells = [
        {(x, y) for x in range(int(box[0]), int(box[2])) for y in range(int(box[1]), int(box[3]))} for box in (a, b)
    ]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


def slow_tracks(video, sigma_l, sigma_h, sigma_iou, t_min):
    """The tracker of the paper's Algorithm 1 as a table of labels: for each face the number of its track."""
    owner, active, ended, born = {}, [], [], 0
    for position, (_, faces) in enumerate(video):
        free = [number for number, (_, score) in enumerate(faces) if score >= sigma_l]
        alive = []
        for track in active:
            (last,) = [face for (at, face), label in owner.items() if label == track and at == position - 1]
            ranked = sorted(free, key=lambda n: (-slow_iou(video[position - 1][1][last][0], faces[n][0]), n))
            if ranked and slow_iou(video[position - 1][1][last][0], faces[ranked[0]][0]) >= sigma_iou:
                owner[position, ranked[0]] = track
                free.remove(ranked[0])
                alive.append(track)
            else:
                ended.append(track)
        for number in free:
            owner[position, number] = born
            alive.append(born)
            born += 1
        active = alive
    kept = []
    for track in ended + active:
        members = sorted(place for place, label in owner.items() if label == track)
        chosen = [(video[at][0], *video[at][1][face]) for at, face in members]
        if len(chosen) >= t_min and max(score for _, _, score in chosen) >= sigma_h:
            kept.append(chosen)
    return kept


def as_lists(tracks):
    return [list(zip(track.frames, map(tuple, track.boxes.tolist()), track.scores, strict=True)) for track in tracks]


@given(BOXES, BOXES)
def test_iou(a, b):
    assert iou(a, b) == pytest.approx(slow_iou(a, b), abs=1e-12)
    assert iou(a, b) == iou(b, a)
    assert 0 <= iou(a, b) <= 1
    assert iou(a, a) == 1


@given(*[st.tuples(*[st.floats(-1e3, 1e4, width=32)] * 4)] * 2)
def test_iou_of_any_boxes_is_a_share(a, b):
    a, b = ((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)) for x1, y1, x2, y2 in (a, b))
    assert 0 <= iou(a, b) <= 1 + 1e-9
    assert iou(a, b) == pytest.approx(iou(b, a))


def test_iou_by_hand():
    assert iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0
    assert iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0
    assert iou((0, 0, 4, 4), (1, 1, 3, 3)) == 0.25


@given(VIDEOS, SETTINGS)
@settings(deadline=None, max_examples=150)
def test_the_tracker_against_a_slow_one(video, chosen):
    expected = slow_tracks(video, chosen.sigma_l, chosen.sigma_h, chosen.sigma_iou, chosen.t_min)
    assert as_lists(track_boxes("v.mp4", video, chosen)) == expected


@given(VIDEOS, SETTINGS)
@settings(deadline=None, max_examples=100)
def test_what_every_track_is(video, chosen):
    faces_at = dict(video)
    tracks = track_boxes("v.mp4", video, chosen)
    for track in tracks:
        assert track.frames == list(range(track.frames[0], track.frames[-1] + 1, 6))
        assert len(track.frames) >= chosen.t_min
        assert max(track.scores) >= chosen.sigma_h
        assert min(track.scores) >= chosen.sigma_l
        overlaps = [iou(*boxes) for boxes in zip(track.boxes, track.boxes[1:], strict=False)]
        assert all(overlap >= chosen.sigma_iou for overlap in overlaps)
    used = [face for track in as_lists(tracks) for face in track]
    for frame, faces in faces_at.items():
        for face in set(faces):
            assert used.count((frame, *face)) <= faces.count(face)
    ends = [track.frames[-1] for track in tracks]
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    ("score", "best", "length", "kept"),
    [(0.3, 0.9, 1, True), (0.3, 0.89, 1, False), (0.3, 0.9, 7, True), (0.29, 0.9, 2, False)],
)
def test_the_published_limits(score, best, length, kept):
    video = [(6 * n, [(BOX, score if n else best)]) for n in range(length)]
    for t_min in (1, 7):
        tracks = track_boxes("v.mp4", video, published(TrackerSettings, t_min=t_min))
        whole = [track for track in tracks if len(track.frames) == length]
        assert bool(whole) == (kept and length >= t_min)


def test_the_overlap_may_be_just_enough():
    # 40 of 100 rows shared by two boxes of 70: 40 / 100 = 0.4.
    upper, lower = (0.0, 0.0, 10.0, 70.0), (0.0, 30.0, 10.0, 100.0)
    video = [(0, [(upper, 1.0)]), (6, [(lower, 1.0)])]
    assert len(track_boxes("v.mp4", video, published(TrackerSettings, sigma_iou=0.4))) == 1
    assert len(track_boxes("v.mp4", video, published(TrackerSettings, sigma_iou=0.41))) == 2


def test_a_frame_without_a_face_ends_a_track():
    video = [(0, [(BOX, 1.0)]), (6, []), (12, [(BOX, 1.0)])]
    assert [track.frames for track in track_boxes("v.mp4", video, published(TrackerSettings))] == [[0], [12]]


def test_older_tracks_choose_first():
    a, b = (0.0, 0.0, 10.0, 10.0), (2.0, 0.0, 12.0, 10.0)
    video = [(0, [(a, 1.0), (b, 1.0)]), (6, [(b, 0.95)])]
    tracks = track_boxes("v.mp4", video, published(TrackerSettings))
    assert [track.scores for track in tracks] == [[1.0], [1.0, 0.95]]
    np.testing.assert_array_equal(tracks[1].boxes, [a, b])


def test_interpolation_is_linear_and_keeps_what_was_found():
    track = Track("v.mp4", 3, [6, 12], np.float32([(0, 0, 10, 20), (6, 12, 16, 32)]), [0.9, 0.7])
    found = interpolate(track, 2, 100)
    assert (found.video, found.number, found.frames) == ("v.mp4", 3, [6, 8, 10, 12])
    assert found.boxes.dtype == np.float32
    np.testing.assert_allclose(found.boxes, [[0, 0, 10, 20], [2, 4, 12, 24], [4, 8, 14, 28], [6, 12, 16, 32]])
    assert found.scores == [0.9, None, None, 0.7]
    assert interpolate(track, 2, 11).frames == [6, 8, 10]
    assert interpolate(Track("v.mp4", 0, [6], np.float32([BOX]), [1.0]), 2, 100).frames == [6]


def detections(rows):
    columns = ("video", "frame", "box", "score")
    return pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], DETECTIONS)


def test_rows_of_all_videos():
    table = detections(
        [("b", 0, BOX, 0.95), ("b", 12, BOX, 0.95), ("a", 0, BOX, 0.95), ("a", 6, BOX, 0.5), ("a", 12, BOX, 0.2)]
    )
    frames = {"a": 18, "none": 18, "b": 18, "unreadable": 0}
    tracks = [
        track
        for faces, end in zip(detected_faces(table, list(frames)), frames.values(), strict=True)
        for track in track_video(faces, end, 6, published(TrackerSettings))
    ]
    assert [(track.video, track.number, track.frames) for track in tracks] == [
        ("a", 0, [0, 6]),
        ("b", 0, [0]),
        ("b", 1, [12]),
    ]
    assert tracks[0].scores[0] == pytest.approx(0.95)
    assert tuple(tracks[0].boxes[0]) == BOX


def test_rows_for_prediction_have_a_box_for_every_kept_frame():
    moved = tuple(side + 6 for side in BOX)
    found, nothing = detected_faces(detections([("a", 0, BOX, 0.95), ("a", 6, moved, 0.5)]), ["a", "step 0"])
    (track,) = track_video(found, 30, 6, published(TrackerSettings), 2)
    assert track.frames == [0, 2, 4, 6]
    assert [score is None for score in track.scores] == [False, True, True, False]
    np.testing.assert_allclose(track.boxes[1], np.array(BOX) + 2)
    assert track_video(nothing, 0, 0, published(TrackerSettings), 0) == []


def test_tracks_of_a_table():
    rows = [("a", 1, 0, BOX), ("a", 0, 2, BOX), ("b", 0, 0, BOX), ("a", 1, 2, (1.0, 2.0, 3.0, 4.0))]
    table = pa.Table.from_pylist(
        [{"video": v, "track": t, "frame": f, "box": box, "score": None} for v, t, f, box in rows], TRACKS
    )
    found = tracks_of(table)
    assert list(found) == ["a", "b"]
    assert [(track.video, track.number, track.frames) for track in found["a"]] == [("a", 1, [0, 2]), ("a", 0, [2])]
    np.testing.assert_array_equal(found["a"][0].boxes, [BOX, (1, 2, 3, 4)])
    assert found["a"][0].scores == [None, None]
    assert tracks_of(table[:0]) == {}


def test_tracks_as_columns_and_back(tmp_path):
    boxes = np.float32([BOX, (1, 2, 3, 4), BOX])
    tracks = [Track("a", 0, [0, 2, 4], boxes, [0.5, None, 1.0]), Track("b", 0, [6], boxes[:1], [0.25])]
    write_table(tmp_path / "t", TRACKS, track_columns(tracks))
    found = [track for of_video in tracks_of(read_table(tmp_path / "t", TRACKS)).values() for track in of_video]
    assert [(one.video, one.number, one.frames, one.scores) for one in found] == [
        (one.video, one.number, one.frames, one.scores) for one in tracks
    ]
    for one, same in zip(found, tracks, strict=True):
        np.testing.assert_array_equal(one.boxes, same.boxes)
    write_table(tmp_path / "empty", TRACKS, track_columns([]))
    assert tracks_of(read_table(tmp_path / "empty", TRACKS)) == {}
