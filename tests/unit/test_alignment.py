from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.data.schemas.alignment import ALIGNED
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TrainingVideo
from dfdc.data.tables import write_table
from dfdc.stages.faces.alignment import align_tracks
from dfdc.stages.faces.settings.alignment import AlignmentSettings
from dfdc.video.boxes import iou
from published import published

BOX = np.array([100.0, 100.0, 200.0, 220.0])


def videos(*rows, **changes):
    """Videos by name: ``r*`` are real, ``f*`` fakes of the real video after the colon."""
    made = []
    for row in rows:
        name, _, original = row.partition(":")
        video = TrainingVideo(name, "ok", "", 300, True, 640, 360, 30.0, "FAKE" if original else "REAL", original)
        made.append(replace(video, **changes.get(name, {})))
    return made


def tracks(*rows):
    """Tracks as (video, number, first sampled frame, boxes)."""
    found = {}
    for video, number, first, boxes in rows:
        frames = [first + 6 * n for n in range(len(boxes))]
        track = Track(video, number, frames, np.float32(boxes), [0.9] * len(boxes))
        found.setdefault(video, []).append(track)
    return found


def align(tracks, videos, **settings):
    return align_tracks(tracks, videos, published(AlignmentSettings, **settings))


def aligned(rows):
    return [(row.real, row.fake, row.real_track, row.fake_track, row.frames) for row in rows if row.status == "aligned"]


def test_the_common_range_with_both_boxes(tmp_path):
    rows = align(
        tracks(("r", 0, 0, [BOX] * 8), ("f", 3, 12, [BOX + 5] * 9)),
        videos("r", "f:r"),
    )
    assert aligned(rows) == [("r", "f", 0, 3, [12, 18, 24, 30, 36, 42])]
    np.testing.assert_array_equal(rows[0].real_boxes, [BOX] * 6)
    np.testing.assert_array_equal(rows[0].fake_boxes, [BOX + 5] * 6)
    write_table(tmp_path / "t", ALIGNED, rows)


def test_a_fake_of_another_size_is_scaled_if_asked_for():
    moved = tracks(("r", 0, 0, [BOX] * 8), ("f", 0, 0, [BOX / 2] * 8), ("g", 0, 0, [BOX / 2] * 8))
    sizes = {"f": {"width": 320, "height": 180}, "g": {"width": 320, "height": 240}}
    (other, squeezed) = align(moved, videos("r", "f:r", "g:r", **sizes))
    assert (other.status, other.reason) == ("unaligned", "other size: real 640x360, fake 320x180")
    (row, squeezed) = align(moved, videos("r", "f:r", "g:r", **sizes), scale_fakes=True)
    assert (row.status, row.reason) == ("aligned", "the fake is scaled from 320x180 to 640x360")
    np.testing.assert_array_equal(row.fake_boxes, [BOX] * 8)
    assert (squeezed.status, squeezed.reason) == ("unaligned", "other size: real 640x360, fake 320x240")


def test_a_fake_whose_original_is_elsewhere():
    rows = align(
        tracks(("r", 0, 0, [BOX] * 8), ("f", 0, 0, [BOX] * 8), ("g", 0, 0, [BOX] * 8)), videos("r", "f:r", "g:s")
    )
    assert aligned(rows) == [("r", "f", 0, 0, [0, 6, 12, 18, 24, 30, 36, 42])]
    assert [(row.real, row.fake, row.reason) for row in rows[1:]] == [("s", "g", "the real video is not in this part")]


@pytest.mark.parametrize(("boxes", "found"), [(4, False), (5, True)])
def test_tracks_need_five_boxes(boxes, found):
    for real, fake in ((boxes, 9), (9, boxes)):
        rows = align(tracks(("r", 0, 0, [BOX] * real), ("f", 0, 0, [BOX] * fake)), videos("r", "f:r"))
        assert bool(aligned(rows)) == found
        if not found:
            assert "no track that is long enough" in rows[0].reason


def test_the_overlap_must_be_more_than_a_half_in_every_common_frame():
    exactly_half = BOX + np.array([0, 0, 100, 0])  # the other is half of it
    more = BOX + np.array([0, 0, 98, 0])
    for odd, found in ((exactly_half, False), (more, True)):
        boxes = [BOX] * 3 + [odd] + [BOX] * 3
        rows = align(tracks(("r", 0, 0, [BOX] * 7), ("f", 0, 0, boxes)), videos("r", "f:r"))
        assert bool(aligned(rows)) == found
    rows = align(tracks(("r", 0, 0, [BOX] * 7), ("f", 0, 0, [BOX + 500] * 7)), videos("r", "f:r"))
    assert [(row.status, row.reason, row.real_track) for row in rows] == [
        ("unaligned", "no track of the fake covers this face", 0)
    ]


def test_bad_overlap_outside_the_common_range_does_not_matter():
    rows = align(tracks(("r", 0, 0, [BOX] * 6 + [BOX + 400] * 3), ("f", 0, 0, [BOX] * 6)), videos("r", "f:r"))
    assert aligned(rows) == [("r", "f", 0, 0, [0, 6, 12, 18, 24, 30])]


def test_tracks_that_share_no_frame_are_not_aligned():
    rows = align(tracks(("r", 0, 0, [BOX] * 5), ("f", 0, 30, [BOX] * 5)), videos("r", "f:r"))
    assert aligned(rows) == []


def test_the_first_fake_track_that_fits_is_taken_and_may_be_taken_again():
    rows = align(
        tracks(
            ("r", 0, 0, [BOX] * 5),
            ("r", 1, 60, [BOX] * 5),
            ("f", 0, 0, [BOX + 300] * 20),
            ("f", 1, 0, [BOX] * 20),
            ("f", 2, 0, [BOX] * 20),
        ),
        videos("r", "f:r"),
    )
    assert [row[2:4] for row in aligned(rows)] == [(0, 1), (1, 1)]


def test_every_fake_of_every_real_video_in_a_fixed_order():
    table = tracks(*[(name, 0, 0, [BOX] * 6) for name in ("f2", "r2", "f1", "r1", "f3")])
    rows = align(table, videos("f3:r1", "r2", "f2:r2", "r1", "f1:r1"))
    assert [row[:2] for row in aligned(rows)] == [("r1", "f1"), ("r1", "f3"), ("r2", "f2")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"f": {"width": 320, "height": 180}}, "other size: real 640x360, fake 320x180"),
        ({"f": {"width": 360, "height": 640}}, "other size: real 640x360, fake 360x640"),
        ({"f": {"fps": 60.0}}, "other frame rate: real 30, fake 60"),
        ({"f": {"fps": 1000.0}}, "other frame rate: real 30, fake 1000"),
        ({"f": {"fps": 29.5}}, "other frame rate: real 30, fake 29.5"),
        ({"f": {"status": "unreadable", "reason": "the file is empty"}}, "the fake is unreadable: the file is empty"),
        ({"r": {"status": "unreadable", "reason": "the file is missing"}}, "the real video is unreadable: the file is"),
    ],
)
def test_what_cannot_be_aligned_says_why_and_stops_nothing(tmp_path, changes, reason):
    table = tracks(*[(name, 0, 0, [BOX] * 6) for name in ("r", "f", "x", "y")])
    rows = align(table, videos("r", "f:r", "x", "y:x", **changes))
    assert [row[:2] for row in aligned(rows)] == [("x", "y")]
    (fault,) = [row for row in rows if row.status == "unaligned"]
    assert fault.reason.startswith(reason)
    write_table(tmp_path / "t", ALIGNED, rows)


def test_rates_that_differ_by_how_they_are_written():
    table = tracks(("r", 0, 0, [BOX] * 6), ("f", 0, 0, [BOX] * 6))
    assert len(aligned(align(table, videos("r", "f:r", f={"fps": 29.97})))) == 1


def test_damaged_videos_and_those_without_a_face():
    table = tracks(("r", 0, 0, [BOX] * 9), ("f", 0, 0, [BOX] * 6))
    rows = align(table, videos("r", "f:r", "g:r", f={"status": "damaged", "reason": "x"}, g={"status": "no face"}))
    assert [row[:2] for row in aligned(rows)] == [("r", "f")]
    assert rows[1].reason == "the fake has no track that is long enough"
    assert align({}, videos("r", "f:r"))[0].reason == "the real video has no track that is long enough"
    assert align(table, videos("r")) == []


SOME = st.lists(
    st.tuples(st.sampled_from("rf"), st.integers(0, 4), st.lists(st.integers(0, 40), min_size=1, max_size=6)),
    max_size=6,
)


@given(SOME, st.integers(1, 3), st.sampled_from([0.3, 0.5, 0.8]))
@settings(deadline=None, max_examples=80)
def test_alignment_against_its_definition(drawn, min_boxes, min_iou):
    rows = [
        (video, number, 6 * first, [BOX + shift for shift in shifts])
        for number, (video, first, shifts) in enumerate(drawn)
    ]
    found = align(tracks(*rows), videos("r", "f:r"), min_boxes=min_boxes, min_iou=min_iou)
    expected = []
    for video, number, first, boxes in rows:
        if video == "f" or len(boxes) < min_boxes:
            continue
        for other, other_number, other_first, other_boxes in rows:
            if other == "r" or len(other_boxes) < min_boxes:
                continue
            start = max(first, other_first)
            end = min(first + 6 * len(boxes), other_first + 6 * len(other_boxes))
            frames = list(range(start, end, 6))
            if frames and all(
                iou(boxes[(frame - first) // 6], other_boxes[(frame - other_first) // 6]) > min_iou for frame in frames
            ):
                expected.append(("r", "f", number, other_number, frames))
                break
    assert aligned(found) == expected
