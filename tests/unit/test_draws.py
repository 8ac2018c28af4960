import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.data.seeding import generator

TOPICS = st.lists(st.one_of(st.integers(-5, 10**9), st.text(max_size=4)), max_size=4)


def first(seed, *topic):
    return generator(seed, *topic).integers(2**63)


def test_the_draws_are_these_on_every_machine():
    # Written down once: other numbers here mean other clips and other trainings for everybody.
    assert first(0, "clip window", "a.mp4", "b.mp4", 0, 1) == 6349704424084175970
    assert generator(7).random() == pytest.approx(0.6792395199050995, abs=1e-15)


@given(st.integers(0, 2**40), TOPICS)
@settings(deadline=None, max_examples=50)
def test_the_same_topic_gives_the_same_draws(seed, topic):
    np.testing.assert_array_equal(generator(seed, *topic).random(5), generator(seed, *topic).random(5))


@given(st.tuples(st.integers(0, 5), TOPICS), st.tuples(st.integers(0, 5), TOPICS))
@settings(deadline=None, max_examples=200)
def test_other_topics_give_other_draws(one, other):
    if one != other:
        assert first(one[0], *one[1]) != first(other[0], *other[1])


def test_types_and_borders_of_topics_count():
    separator = "\x1f"
    topics = [
        (1, "a"),
        ("1", "a"),
        ("1a",),
        ("a", 1),
        ("1", "", "a"),
        (f"1{separator}str:1:a",),
        (),
        ("",),
        (1,),
        ("1",),
    ]
    assert len({first(0, *topic) for topic in topics}) == len(topics)
    assert first(1) != first(0, 1)


def test_draws_are_uniform():
    drawn = np.array([generator(0, "x", number).random() for number in range(4000)])
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)
    assert np.histogram(drawn, 10, (0, 1))[0] == pytest.approx(400, abs=90)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.06


def test_numbers_of_numpy_are_numbers():
    assert generator(0, np.int64(3)).random() == generator(0, 3).random()
