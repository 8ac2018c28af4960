import multiprocessing
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import moving, pair_rows, sample_settings, write_clips

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.writing import write_store
from dfdc.data.seeding import generator
from dfdc.stages.training.augment.settings import AugmentSettings
from dfdc.stages.training.loading import batches
from dfdc.stages.training.samples import PairDataset, Place, Schedule
from dfdc.system.errors import UserError
from dfdc.video.recompression import draw_recompression
from dfdc.video.settings import RecompressionSettings
from published import published

PLAIN = {
    "augment": published(AugmentSettings, flip=0, autoaugment=0, erasing=0),
    "recompression": published(RecompressionSettings, probability=0),
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    return {"part": write_clips(tmp_path_factory.mktemp("dataset") / "part.arrow", [8] * 10)}


@pytest.fixture(scope="module")
def plain_stores(tmp_path_factory):
    """Clips of the network's very size: pictures pass as they are."""
    path = tmp_path_factory.mktemp("dataset") / "part.arrow"
    write_store(path, ([encode_png(frame) for frame in moving(8, 32, 32, seed)] for seed in range(4)))
    return {"part": path}


def as_lists(batch):
    return (
        batch.iteration,
        batch.pairs,
        batch.real.numpy().tobytes(),
        batch.fake.numpy().tobytes(),
        batch.targets.tolist(),
        batch.erasings,
        batch.noise.tolist(),
    )


def test_plain_samples_are_the_clips_frames(plain_stores):
    dataset = PairDataset(pair_rows(2, 8), plain_stores, sample_settings(frames=(1, 5), **PLAIN))
    sample = dataset[Place(1, 0, 1)]
    np.testing.assert_array_equal(sample.real, [moving(8, 32, 32, 2)[index] for index in (1, 5)])
    np.testing.assert_array_equal(sample.fake, [moving(8, 32, 32, 3)[index] for index in (1, 5)])
    assert sample.erasings == [None, None]
    assert sample.targets.shape == (2,)


def test_of_a_short_pair_the_last_common_frame_is_repeated(plain_stores):
    dataset = PairDataset(pair_rows(2, 4), plain_stores, sample_settings(frames=(1, 3, 7), **PLAIN))
    sample = dataset[Place(1, 0, 0)]
    for faces, seed in ((sample.real, 0), (sample.fake, 1)):
        np.testing.assert_array_equal(faces, [moving(8, 32, 32, seed)[index] for index in (1, 3, 3)])


@pytest.mark.parametrize("frames", [(1, 5), (5, 1)])
@pytest.mark.parametrize("whole_clip", [True, False])
def test_recompressed_frames_are_of_the_same_moment(plain_stores, whole_clip, frames):
    always = published(
        RecompressionSettings,
        probability=1,
        fps_probability=0,
        scale_probability=0,
        crf=(1, 2),
        tunes=("film",),
        preset="ultrafast",
    )
    chosen = sample_settings(frames=frames, whole_clip=whole_clip, **(PLAIN | {"recompression": always}))
    sample = PairDataset(pair_rows(2, 8), plain_stores, chosen)[Place(1, 0, 0)]
    for faces, seed in ((sample.real, 0), (sample.fake, 1)):
        originals = np.stack(moving(8, 32, 32, seed)).astype(int)
        for face, index in zip(faces, frames, strict=True):
            distances = np.abs(originals - face).mean((1, 2, 3))
            assert distances.argmin() == index
            assert 0 < distances.min() < 6


def test_half_of_the_pairs_are_recompressed_and_both_clips_alike(plain_stores):
    always = published(RecompressionSettings, crf=(40, 50), fps_probability=0, preset="ultrafast")
    chosen = sample_settings(frames=(2,), **(PLAIN | {"recompression": always}))
    dataset = PairDataset(pair_rows(2, 8), plain_stores, chosen)
    changed = []
    for iteration in range(1, 31):
        sample = dataset[Place(iteration, 0, 0)]
        real = not np.array_equal(sample.real[0], moving(8, 32, 32, 0)[2])
        fake = not np.array_equal(sample.fake[0], moving(8, 32, 32, 1)[2])
        assert real == fake
        drawn = draw_recompression(generator(3, "recompression", iteration, 0), always)
        assert real == (drawn is not None)
        changed.append(real)
    assert 7 <= sum(changed) <= 23


@pytest.mark.parametrize("kind", ["frame", "sequence"])
def test_a_sample_is_a_function_of_its_place(stores, kind):
    dataset = PairDataset(pair_rows(5, 8), stores, sample_settings(kind))
    again = PairDataset(pair_rows(5, 8), stores, sample_settings(kind))

    def sample(data, *place):
        made = data[Place(*place)]
        return (
            made.real.tobytes(),
            made.fake.tobytes(),
            made.targets.tobytes(),
            tuple(made.erasings),
            made.noise.tobytes(),
        )

    first = sample(dataset, 3, 1, 2)
    assert sample(dataset, 4, 1, 2) != first
    assert sample(dataset, 3, 0, 2) != first
    assert sample(again, 3, 1, 2) == first
    other_seed = PairDataset(pair_rows(5, 8), stores, sample_settings(kind, seed=4))
    assert sample(other_seed, 3, 1, 2) != first


def test_loader_processes_make_no_difference(stores):
    dataset = PairDataset(pair_rows(5, 8), stores, sample_settings())
    made = []
    for workers in (0, 1, 2):
        others = multiprocessing.active_children()
        loaded = batches(dataset, Schedule(5, 2, 3, 1, 5), workers)
        made.append([as_lists(next(loaded)) for _ in range(max(workers, 1))])  # one of each process, which have started
        started = [child for child in multiprocessing.active_children() if child not in others]
        # They leave this process the priority.
        assert [os.getpriority(os.PRIO_PROCESS, child.pid) for child in started] == [min(os.nice(0) + 10, 19)] * workers
        made[-1] += map(as_lists, loaded)
    assert made[0] == made[1] == made[2]
    assert [batch[0] for batch in made[0]] == [1, 2, 3, 4, 5]


def test_a_batch_is_its_samples_one_after_the_other(stores):
    dataset = PairDataset(pair_rows(5, 8), stores, sample_settings())
    schedule = Schedule(5, 2, 3, 4, 4)
    (batch,) = batches(dataset, schedule, 0)
    (places,) = schedule
    assert batch.pairs == [place.pair for place in places]
    assert batch.real.shape == batch.fake.shape == (4, 32, 32, 3)
    assert batch.real.dtype == torch.uint8
    assert batch.targets.dtype == torch.float32
    for slot, place in enumerate(places):
        sample = dataset[place]
        np.testing.assert_array_equal(batch.real[2 * slot : 2 * slot + 2], sample.real)
        np.testing.assert_array_equal(batch.fake[2 * slot : 2 * slot + 2], sample.fake)
        np.testing.assert_array_equal(batch.targets[2 * slot : 2 * slot + 2], sample.targets)
        assert batch.erasings[2 * slot : 2 * slot + 2] == sample.erasings
    noise = [dataset[place].noise for place in places]
    np.testing.assert_array_equal(batch.noise, np.concatenate(noise))
    assert len(batch.noise) == sum(3 * draw.height * draw.width for draw in batch.erasings if draw) > 0


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 9), st.integers(1, 30))
@settings(deadline=None, max_examples=60)
def test_an_epoch_takes_every_pair_at_most_once_and_drops_the_rest(pairs, batch_pairs, seed, first):
    if pairs < batch_pairs:
        return
    per_epoch = pairs // batch_pairs
    whole = list(Schedule(pairs, batch_pairs, seed, 1, 3 * per_epoch))
    assert [[place.iteration for place in batch] for batch in whole] == [
        [iteration] * batch_pairs for iteration in range(1, 3 * per_epoch + 1)
    ]
    assert all([place.slot for place in batch] == list(range(batch_pairs)) for batch in whole)
    for epoch in range(3):
        taken = [place.pair for batch in whole[epoch * per_epoch : (epoch + 1) * per_epoch] for place in batch]
        assert len(taken) == len(set(taken)) == per_epoch * batch_pairs
        assert set(taken) <= set(range(pairs))
    first = min(first, 3 * per_epoch + 1)  # a training that is complete starts after its last iteration
    resumed = Schedule(pairs, batch_pairs, seed, first, 3 * per_epoch)
    assert list(resumed) == whole[first - 1 :]
    assert len(Schedule(pairs, batch_pairs, seed, first, first + 6)) == 7


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 9))
def test_of_several_gpus_each_takes_its_own_pairs_of_a_batch(batch_pairs, ranks, seed):
    whole = list(Schedule(20, batch_pairs, seed, 3, 9))
    shares = [list(Schedule(20, batch_pairs, seed, 3, 9, rank, ranks)) for rank in range(ranks)]
    for places, *of_ranks in zip(whole, *shares, strict=True):
        together = sorted((place for share in of_ranks for place in share), key=lambda place: place.slot)
        assert together == places  # every one once, with the slot that its draws depend on
        sizes = [len(share) for share in of_ranks]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("pieces", [1, 2, 3, 5])
def test_a_batch_in_pieces(stores, pieces):
    (batch,) = batches(PairDataset(pair_rows(5, 8), stores, sample_settings()), Schedule(5, 5, 3, 1, 1), 0)
    parts = list(batch.split(pieces))
    assert len(parts) == pieces
    assert [pair for part in parts for pair in part.pairs] == batch.pairs
    assert [erasing for part in parts for erasing in part.erasings] == batch.erasings
    for name in ("real", "fake", "targets", "noise"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(batch, name))
    assert all(len(part.targets) == 2 * len(part.pairs) == len(part.real) for part in parts)
    assert all(len(part.noise) == sum(draw.values for draw in part.erasings if draw) for part in parts)


def test_epochs_and_seeds_are_shuffled_differently():
    def order(seed, epoch):
        return [place.pair for batch in Schedule(40, 8, seed, 1 + 5 * epoch, 5 + 5 * epoch) for place in batch]

    orders = [order(0, 0), order(0, 1), order(1, 0)]
    assert all(sorted(one) == list(range(40)) for one in orders)
    assert len({tuple(one) for one in orders}) == 3
    assert orders[0] != list(range(40))


def test_nothing_is_left_of_a_finished_training(stores):
    dataset = PairDataset(pair_rows(5, 8), stores, sample_settings())
    assert list(batches(dataset, Schedule(5, 2, 3, 6, 5), 0)) == []


def test_a_missing_store(tmp_path):
    with pytest.raises(UserError, match=r"part\.arrow is missing"):
        PairDataset(pair_rows(1, 8), {"part": tmp_path / "part.arrow"}, sample_settings())
