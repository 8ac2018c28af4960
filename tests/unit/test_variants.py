"""Recompressed variants: the same pixels and the same distribution as recompressing on the fly."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from samples import pair_rows, sample_settings, write_clips

from dfdc.data.schemas.pairs import VARIANTS
from dfdc.data.seeding import generator
from dfdc.data.tables import write_table
from dfdc.stages.clips.reading import PairReader
from dfdc.stages.clips.recompressing import draw_variant, recompress_clips
from dfdc.stages.clips.variants import VariantReader
from dfdc.stages.training.samples import PairDataset, Place, Schedule, Visits, drawn_frames
from dfdc.system.errors import UserError
from dfdc.video.recompression import Recompression, draw_recompression
from dfdc.video.settings import RecompressionSettings
from published import published

SETTINGS = published(RecompressionSettings, preset="ultrafast")


def rows_of(count, frames=12):
    return [replace(pair, split="train", fake=f"f{number}") for number, pair in enumerate(pair_rows(count, frames))]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Pairs, the store of their clips, and a function that recompresses them."""
    folder = tmp_path_factory.mktemp("variants")
    pairs = rows_of(3)
    clips = write_clips(folder / "part.arrow", [12] * 6)

    def recompress(name="v", settings=SETTINGS, variants=4, **options):
        of_part = folder / f"{name}.parquet", folder / f"{name}.arrow"
        rows = recompress_clips(pairs, clips, of_part[1], settings, variants, 7, **options)
        write_table(of_part[0], VARIANTS, rows)
        return rows, {"part": of_part[0]}, {"part": of_part[1]}

    return pairs, clips, recompress


def test_the_pixels_are_those_of_recompressing_on_the_fly(made):
    pairs, clips, recompress = made
    rows, tables, stores = recompress()
    assert [(row.fake, row.variant, row.batch) for row in rows] == [(f"f{n // 4}", n % 4, n) for n in range(12)]
    reader = VariantReader(pairs, tables, stores)
    frames = (0, 3, 4, 11)
    settings = replace(sample_settings(frames=frames, recompression=SETTINGS, whole_clip=True)).reading
    for number in range(3):
        for variant in range(4):
            row = rows[4 * number + variant]
            draw = Recompression(row.fps, row.scale, row.crf, row.tune)
            assert draw == draw_variant(pairs[number], variant, 7, SETTINGS)
            expected = PairReader(pairs, {"part": clips}, settings).read(number, draw)
            for faces, other in zip(reader.read(number, variant, frames), expected, strict=True):
                np.testing.assert_array_equal(faces, other)
                assert faces.shape[1:] == (row.height, row.width, 3)


def test_up_to_the_last_frame_that_is_taken(made):
    pairs, clips, recompress = made
    rows, tables, stores = recompress("cut", last=4)
    assert {row.frames for row in rows} == {5}
    settings = sample_settings(frames=(1, 4), recompression=SETTINGS, whole_clip=False).reading
    draw = draw_variant(pairs[1], 2, 7, SETTINGS)
    expected = PairReader(pairs, {"part": clips}, settings).read(1, draw)
    np.testing.assert_array_equal(VariantReader(pairs, tables, stores).read(1, 2, (1, 4))[1], expected[1])


def test_the_number_of_workers_changes_nothing(made):
    _, _, recompress = made
    files = []
    for name, workers in (("one", 1), ("two", 2)):
        _, tables, stores = recompress(name, workers=workers)
        files.append((tables["part"].read_bytes(), stores["part"].read_bytes()))
    assert files[0] == files[1]


def test_pairs_that_cannot_be_encoded_have_rows_and_are_taken_as_cut(made):
    pairs, clips, recompress = made
    rows, tables, stores = recompress("failed", replace(SETTINGS, pixel_format="none"), 2)
    assert {(row.status, row.batch) for row in rows} == {("failed", None)}
    assert all("libx264 could not encode" in row.reason for row in rows)
    reader = VariantReader(pairs, tables, stores)
    assert [reader.count(number) for number in range(3)] == [0, 0, 0]
    chosen = sample_settings(frames=(1, 3), recompression=replace(SETTINGS, probability=1.0))
    plain = sample_settings(frames=(1, 3), recompression=replace(SETTINGS, probability=0.0))
    sample = PairDataset(pairs, {"part": clips}, chosen, reader)[Place(1, 0, 1)]
    np.testing.assert_array_equal(sample.fake, PairDataset(pairs, {"part": clips}, plain)[Place(1, 0, 1)].fake)


def test_validation_pairs_have_no_variants(made, tmp_path):
    pairs, clips, _ = made
    split = [replace(pairs[0], split="validation"), pairs[1]]
    assert {row.fake for row in recompress_clips(split, clips, tmp_path / "s", SETTINGS, 2, 7)} == {"f1"}


def test_damaged_streams_are_named(made):
    pairs, _, recompress = made
    _, tables, stores = recompress("damaged")
    content = bytearray(stores["part"].read_bytes())
    content[len(content) // 2] ^= 1
    stores["part"].write_bytes(content)
    reader = VariantReader(pairs, tables, stores)
    with pytest.raises(UserError, match=r"damaged\.arrow is damaged: the streams \d+ do not match"):
        _ = [reader.read(number, variant, (0,)) for number in range(3) for variant in range(4)]


def visits_of(pairs, batch_pairs, probability, iterations, seed=3):
    """For each pair, whether each of its visits is recompressed, and the number of that."""
    visits, schedule = Visits(pairs, batch_pairs, seed, probability), Schedule(pairs, batch_pairs, seed, 1, iterations)
    found = [[] for _ in range(pairs)]
    for batch in schedule:
        for place in batch:
            found[place.pair].append(visits.number(place))
    return found


def test_recompressed_visits_are_counted():
    for of_pair in visits_of(11, 3, 0.5, 60):
        recompressed = [number for number in of_pair if number is not None]
        assert recompressed == list(range(len(recompressed)))


def test_the_count_does_not_depend_on_where_a_training_was_resumed():
    later = Visits(11, 3, 3, 0.5)
    expected = visits_of(11, 3, 0.5, 60)
    for batch in Schedule(11, 3, 3, 58, 60):
        for place in batch:
            assert later.number(place) == expected[place.pair][-1]


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_the_share_of_recompressed_visits(probability):
    found = [number is not None for of_pair in visits_of(200, 10, probability, 400) for number in of_pair]
    assert abs(np.mean(found) - probability) <= 4 * (probability * (1 - probability) / len(found)) ** 0.5


def test_no_variant_repeats_before_all_were_seen(made):
    pairs, _, recompress = made
    _, tables, stores = recompress()
    reader = VariantReader(pairs, tables, stores)
    orders = set()
    for seed in range(20):
        for pair in range(3):
            chosen = [reader.choose(pair, visit, seed) for visit in range(8)]
            assert sorted(chosen[:4]) == [0, 1, 2, 3]
            assert chosen[4:] == chosen[:4]
            orders.add(tuple(chosen[:4]))
    assert len(orders) > 15  # models take them in orders of their own


def chi_square(one, other):
    """The statistic of two samples of the same size, and its expectation plus four standard deviations."""
    keys = set(one) | set(other)
    statistic = sum((one[key] - other[key]) ** 2 / (one[key] + other[key]) for key in keys)
    freedom = len(keys) - 1
    return statistic, freedom + 4 * (2 * freedom) ** 0.5


def test_parameters_over_visits_follow_the_published_distribution():
    """Those of variants in the visits of a training against those drawn on the fly, 8,000 of each."""
    pairs, variants = rows_of(2000), []
    for pair in pairs:
        variants += [draw_variant(pair, number, 0, SETTINGS) for number in range(4)]
    always = replace(SETTINGS, probability=1.0)
    fly = [draw_recompression(generator(1, "on the fly", number), always) for number in range(len(variants))]
    scales = [draw.scale for draw in variants if draw.scale != 1]
    assert len(set(scales)) == len(scales) > 1000  # independent draws
    for name in ("fps", "crf", "tune"):
        statistic, limit = chi_square(*(Counter(getattr(draw, name) for draw in draws) for draws in (variants, fly)))
        assert statistic < limit, name
    scales = [np.sort([draw.scale for draw in draws]) for draws in (variants, fly)]
    grid = np.linspace(0, 1, 200)
    shares = [np.searchsorted(values, grid) / len(values) for values in scales]
    assert np.abs(shares[0] - shares[1]).max() < 1.95 * (2 / len(variants)) ** 0.5  # Kolmogorov and Smirnov, 0.1 %


def test_a_sample_is_that_of_its_variant(made):
    pairs, clips, recompress = made
    _, tables, stores = recompress()
    reader = VariantReader(pairs, tables, stores)
    settings = sample_settings(frames=(1, 3), recompression=replace(SETTINGS, probability=1.0), seed=5)
    dataset = PairDataset(pairs, {"part": clips}, settings, reader, batch_pairs=1)
    on_the_fly = PairDataset(pairs, {"part": clips}, settings)
    place = next(batch[0] for batch in Schedule(3, 1, 5, 4, 4))  # in the second epoch: the second visit
    frames = reader.read(place.pair, reader.choose(place.pair, 1, 5), (1, 3))
    on_the_fly.reader.read = lambda *_: frames
    for name in ("real", "fake", "targets"):
        np.testing.assert_array_equal(getattr(dataset[place], name), getattr(on_the_fly[place], name))


@pytest.mark.parametrize("kind", ["frame", "sequence"])
def test_drawn_frames_are_those_of_the_clip_and_of_its_variants(made, kind):
    pairs, clips, recompress = made
    _, tables, stores = recompress()
    reader, seen = VariantReader(pairs, tables, stores), set()
    for probability in (0.0, 1.0):
        settings = sample_settings(
            kind, (1, 3), recompression=replace(SETTINGS, probability=probability), whole_clip=True, draw_frames=True
        )
        dataset = PairDataset(pairs, {"part": clips}, settings, reader)
        for iteration in range(1, 9):
            frames = drawn_frames(kind, (1, 3), 12, settings.seed, iteration, 1)
            place = Place(iteration, 1, 1)
            visit = dataset._visits.number(place)
            if probability:
                expected = reader.read(1, reader.choose(1, visit, settings.seed), frames)
            else:
                expected = dataset.reader.read(1, None, frames)
            for faces, other in zip(dataset._frames(place), expected, strict=True):
                np.testing.assert_array_equal(faces, other)
            seen.add(frames)
    assert len(seen) > 3
