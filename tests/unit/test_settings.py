import json

from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.config.canonical import canonical, digest

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


def turned(value):
    """The same with the keys of all mappings the other way round."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
@settings(deadline=None, max_examples=60)
def test_the_order_of_keys_means_nothing(value):
    assert digest(value) == digest(turned(value))
    assert repr(canonical(value)) == repr(canonical(turned(value)))
    assert canonical(value) == value


@given(VALUES, VALUES)
@settings(deadline=None, max_examples=60)
def test_other_values_have_another_hash(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest(one) == digest(other)) == same


def test_the_order_of_lists_and_of_arguments_counts():
    assert digest([1, 2]) != digest([2, 1])
    assert digest(1, 2) != digest(2, 1)
    assert digest(1, 2) != digest([1, 2])
    assert len(digest({"a": (1, 2)})) == 16
    assert digest({"a": (1, 2)}) == digest({"a": [1, 2]})
    assert digest({"b": 1, "a": {"d": 1, "c": [{"f": 1, "e": 2}]}}) == digest(
        {"a": {"c": [{"e": 2, "f": 1}], "d": 1}, "b": 1}
    )
