from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfdc.data.schemas.pairs import Pair
from dfdc.stages.clips.pairs import split_pairs
from dfdc.stages.clips.settings.pairs import ValidationSettings

# Parts, source videos of each, and how many pairs each of these has.
DATA = st.dictionaries(
    st.sampled_from(["part_0", "part_1", "part_2"]),
    st.dictionaries(st.integers(0, 40).map("{}.mp4".format), st.integers(1, 3), min_size=1, max_size=25),
    min_size=1,
)
SHARES = st.sampled_from([0.0, 0.02, 0.1, 0.35, 0.5, 0.98, 1.0]) | st.floats(0, 1)
SEEDS = st.integers(0, 5)


def rows_of(data):
    """Pairs that are not split."""
    return [
        Pair(part, real, f"{real}-{number}", 0, 1, 50, "", "", 5.0)
        for part, videos in data.items()
        for real, fakes in videos.items()
        for number in range(fakes)
    ]


def split(data, share, seed=0, parts=()):
    """{source video: train or validation}, after a look at the rows."""
    rows = rows_of(data)
    found = split_pairs(rows, ValidationSettings(parts, share, seed))
    assert [replace(row, split="") for row in found] == rows
    of_source = {(row.part, row.real): row.split for row in found}
    assert [of_source[row.part, row.real] for row in found] == [row.split for row in found]
    assert set(of_source.values()) <= {"train", "validation"}
    return of_source


@given(DATA, SHARES, SEEDS)
def test_the_split_has_the_share_that_is_asked_for(data, share, seed):
    found = list(split(data, share, seed).values())
    number = found.count("validation")
    if share == 0 or len(found) == 1:
        assert number == 0
    else:
        assert number == min(max(round(share * len(found)), 1), len(found) - 1)


@given(DATA, SHARES, SEEDS, st.sets(st.sampled_from(["part_0", "part_1"])))
def test_parts_that_are_kept_out(data, share, seed, parts):
    found = split(data, share, seed, sorted(parts))
    assert {found[source] for source in found if source[0] in parts} <= {"validation"}
    rest = {part: videos for part, videos in data.items() if part not in parts}
    assert {source: found[source] for source in found if source[0] not in parts} == split(rest, share, seed)


@given(DATA, SHARES, SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_pairs_and_the_number_of_fakes_do_not_matter(data, share, seed, random):
    rows = rows_of(data)
    settings = ValidationSettings((), share, seed)
    wanted = split_pairs(rows, settings)
    order = random.sample(range(len(rows)), len(rows))
    assert split_pairs([rows[place] for place in order], settings) == [wanted[place] for place in order]
    one_each = {part: dict.fromkeys(videos, 1) for part, videos in data.items()}
    assert split(one_each, share, seed) == split(data, share, seed)


@given(DATA.filter(lambda data: len(data) > 1), SHARES, SEEDS)
def test_another_part_moves_few(data, share, seed):
    """Those that leave validation, or those that enter it: as many as the number there grows by or newcomers take."""
    new = min(data)
    after = split(data, share, seed)
    before = split({part: videos for part, videos in data.items() if part != new}, share, seed)
    kept_out = [{source for source in before if found[source] == "validation"} for found in (before, after)]
    taken = sum(after[source] == "validation" for source in after if source[0] == new)
    assert kept_out[0] <= kept_out[1] or kept_out[1] <= kept_out[0]
    grown = list(after.values()).count("validation") - len(kept_out[0])
    assert len(kept_out[0] ^ kept_out[1]) == abs(grown - taken)


def test_at_full_size_a_part_more_moves_one_in_a_thousand():
    data = {f"part_{part}": {f"{part}-{real}.mp4": 1 for real in range(400)} for part in range(21)}
    after = split(data, 0.02)
    del data["part_20"]
    before = split(data, 0.02)
    assert list(before.values()).count("validation") == 160
    assert list(after.values()).count("validation") == 168
    assert sum(before[source] != after[source] for source in before) <= 8


def test_other_seeds_draw_others():
    data = {"part_0": {f"{real}.mp4": 1 for real in range(400)}}
    drawn = [{source for source, of in split(data, 0.5, seed).items() if of == "validation"} for seed in range(4)]
    for seed in range(1, 4):
        assert len(drawn[0] & drawn[seed]) == pytest.approx(100, abs=30)
