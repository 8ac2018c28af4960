"""Frames that a training draws anew at each visit of a pair (models.*.draw_frames)."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfdc.stages.training.samples import drawn_frames

FRAMES = (9, 13, 17, 21, 25, 29, 33, 37)
WINDOW = (19, 21, 23, 25, 27, 29, 31)


@given(st.integers(8, 300), st.integers(1, 10**6), st.integers(0, 64))
def test_a_frame_model_takes_as_many_different_frames_in_order(length, iteration, slot):
    drawn = drawn_frames("frame", FRAMES, length, 7, iteration, slot)
    assert list(drawn) == sorted(set(drawn))
    assert len(drawn) == 8
    assert drawn[0] >= 0
    assert drawn[-1] < length


@given(st.integers(13, 300), st.integers(1, 10**6), st.integers(0, 64))
def test_a_sequence_model_takes_the_same_window_at_another_place(length, iteration, slot):
    drawn = drawn_frames("sequence", WINDOW, length, 7, iteration, slot)
    assert [b - a for a, b in pairwise(drawn)] == [2] * 6
    assert drawn[0] >= 0
    assert drawn[-1] < length


@pytest.mark.parametrize(("kind", "frames", "places"), [("frame", FRAMES, 50), ("sequence", WINDOW, 38)])
def test_every_place_is_drawn_equally_often(kind, frames, places):
    taken = drawn_of(kind, frames, 4000)
    counts = Counter(frame for drawn in taken for frame in (drawn if kind == "frame" else drawn[:1]))
    assert set(counts) == set(range(places))
    expected = sum(counts.values()) / places
    assert all(abs(count - expected) < 5 * expected**0.5 for count in counts.values())


def drawn_of(kind, frames, count, seed=7):
    return [drawn_frames(kind, frames, 50, seed, iteration, iteration % 8) for iteration in range(1, count + 1)]


def test_draws_depend_on_seed_iteration_and_slot():
    assert drawn_of("frame", FRAMES, 5) == drawn_of("frame", FRAMES, 5)
    others = [drawn_frames("frame", FRAMES, 50, *where) for where in ((7, 1, 1), (8, 1, 1), (7, 2, 1), (7, 1, 2))]
    assert len(set(others)) == 4


def test_clips_that_are_too_short():
    assert drawn_frames("frame", FRAMES, 7, 7, 1, 1) == FRAMES
    assert drawn_frames("sequence", WINDOW, 12, 7, 1, 1) == (0, 2, 4, 6, 8, 10, 12)
