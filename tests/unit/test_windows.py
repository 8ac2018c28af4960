"""The windows of an aligned track that become clips."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import aligned_track as track

from dfdc.stages.clips.settings.cutting import ClipSettings
from dfdc.stages.clips.windows import choose_windows, spread, windows_needed
from dfdc.video.boxes import enlarged
from published import published


def windows(one, per_track=1, needed=1, **changes):
    return choose_windows(one, published(ClipSettings, per_track=per_track, **changes), 6, 640, 360, needed)


def one_window(one, seed=0):
    found = windows(one, seed=seed)
    return found[0] if found else None


@pytest.mark.parametrize(("entries", "starts"), [(7, 0), (8, 1), (12, 5), (50, 43)])
def test_the_window_starts_anywhere_it_fits(entries, starts):
    chosen = [one_window(track(fake=f"{n}.mp4", entries=entries, first=2)) for n in range(400)]
    if starts == 0:
        assert set(chosen) == {None}
        return
    firsts = [first for first, _ in chosen]
    assert set(firsts) == {6 * (2 + start) for start in range(starts)}
    for first, box in chosen:
        middle = first // 6 - 2 + 4
        of_track = track(entries=entries)
        boxes = of_track.real_boxes[middle], of_track.fake_boxes[middle]
        assert box in [enlarged(of_face, 1.5, 640, 360) for of_face in boxes]


def test_both_tracks_give_the_box_as_often():
    taken = []
    for n in range(600):
        one = track(real=f"{n}.mp4", entries=8, fake_boxes=[[300.0, 100.0, 400.0, 200.0]] * 8)
        taken.append(one_window(one)[1][0] > 200)
    assert sum(taken) == pytest.approx(300, abs=50)


def test_the_window_depends_on_seed_videos_and_tracks():
    def window(seed=0, **changes):
        return one_window(track(entries=200, **changes), seed)

    assert window() == window()
    others = [window(1), window(real="x"), window(fake="x"), window(real_track=1), window(fake_track=1)]
    assert len({window(), *others}) == 6


@pytest.mark.parametrize("per_track", [2, 3, 12, 100])
def test_the_first_window_is_the_same_however_many_follow(per_track):
    for number in range(50):
        one = track(fake=f"{number}.mp4", entries=50)
        assert windows(one, per_track)[:1] == windows(one)
        assert windows(one, "auto", per_track)[:1] == windows(one)


@given(st.integers(8, 400), st.integers(1, 40), st.integers(0, 2**32))
@settings(deadline=None, max_examples=100)
def test_windows_are_different_and_inside_the_track(entries, per_track, seed):
    one = track(entries=entries)
    firsts = [first for first, _ in windows(one, per_track, seed=seed)]
    assert len(set(firsts)) == len(firsts) == min(per_track, entries - 7)
    assert set(firsts) <= set(one.frames[: entries - 7])


def test_windows_overlap_only_where_the_track_is_too_short():
    """Eight entries a window. Wherever the first one lies, two fit into 23, and at least half of what fits into any."""
    for number in range(100):
        for entries, apart in ((23, 2), (50, 4), (300, 19)):
            firsts = sorted(first // 6 for first, _ in windows(track(fake=f"{number}.mp4", entries=entries), apart))
            assert min(b - a for a, b in pairwise(firsts)) >= 8


def test_windows_by_hand():
    assert spread(17, 42, 5, 1) == [17, 42, 0, 29, 8]
    assert spread(0, 0, 5, 1) == [0]
    assert sorted(spread(3, 7, 9, 1)) == list(range(8))
    assert spread(17, 42, 9, 9) == [17, 42, 0, 29]


def test_auto_takes_what_is_needed_but_half_of_a_window_is_new():
    one = track(entries=50)
    assert [len(windows(one, "auto", needed)) for needed in (1, 3, 5)] == [1, 3, 5]
    firsts = sorted(first // 6 for first, _ in windows(one, "auto", 1000))
    assert 6 <= len(firsts) <= 11
    assert min(b - a for a, b in pairwise(firsts)) >= 4


def test_how_many_windows_are_needed():
    aligned = [track(), track(fake="g.mp4"), track(fake="h.mp4", status="unaligned")]
    assert [windows_needed(aligned, pairs) for pairs in (0, 1, 2, 2.5, 5)] == [1, 1, 1, 2, 3]
    assert windows_needed([], 100) == 1
