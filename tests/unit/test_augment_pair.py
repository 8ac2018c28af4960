import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.networks.settings import CropPolicy
from dfdc.stages.training.augment.erasing import ErasingDraw
from dfdc.stages.training.augment.pair import draw_erasing_noise, draw_erasings, draw_targets, transform_pair
from dfdc.stages.training.augment.settings import AugmentSettings
from published import published

POLICY = CropPolicy(64, True, 72, 60)
SETTINGS = published(AugmentSettings, erasing=0.5)


def still(frames: int, seed: int = 0) -> list[np.ndarray]:
    """The same picture again and again: what differs afterwards, the draws made different."""
    return [np.random.default_rng(seed).integers(0, 256, (130, 80, 3), np.uint8)] * frames


def different(images: np.ndarray) -> int:
    return len({image.tobytes() for image in images})


@given(st.integers(0, 100), st.integers(1, 10**6), st.integers(0, 7))
@settings(deadline=None, max_examples=20)
def test_twins_stay_twins(seed, iteration, slot):
    for kind, frames in (("frame", 8), ("sequence", 7)):
        real, fake = transform_pair(still(frames), still(frames), kind, POLICY, SETTINGS, seed, iteration, slot)
        assert real.shape == (frames, 72, 60, 3)
        assert real.dtype == np.uint8
        np.testing.assert_array_equal(real, fake)


def test_a_sequence_is_transformed_as_one_and_frames_each_for_itself():
    for iteration in range(20):
        sequence, _ = transform_pair(still(7), still(7), "sequence", POLICY, SETTINGS, 1, iteration, 0)
        assert different(sequence) == 1
        frames, _ = transform_pair(still(8), still(8), "frame", POLICY, SETTINGS, 1, iteration, 0)
        assert different(frames) >= 6


def test_frames_stay_in_their_order():
    plain = published(AugmentSettings, flip=0, autoaugment=0)
    real = [np.full((72, 60, 3), 10 * i, np.uint8) for i in range(7)]
    fake = [frame + 5 for frame in real]
    for kind in ("frame", "sequence"):
        a, b = transform_pair(real, fake, kind, POLICY, plain, 1, 2, 3)
        assert a.mean((1, 2, 3)).tolist() == [10 * i for i in range(7)]
        assert b.mean((1, 2, 3)).tolist() == [10 * i + 5 for i in range(7)]


@pytest.mark.parametrize("kind", ["frame", "sequence"])
def test_a_sample_depends_on_seed_iteration_and_slot_and_on_nothing_else(kind):
    def sample(seed, iteration, slot):
        return transform_pair(still(4), still(4), kind, POLICY, SETTINGS, seed, iteration, slot)[0].tobytes()

    first = sample(1, 2, 3)
    others = {sample(2, 2, 3), sample(1, 3, 3), sample(1, 2, 4), sample(1, 3, 2)}
    assert first not in others
    assert len(others) == 4
    assert sample(1, 2, 3) == first


def test_targets_are_beta_distributed_and_one_for_a_sequence():
    each = np.concatenate([draw_targets("frame", 8, 0.5, 1, i, 0) for i in range(500)])
    assert each.dtype == np.float32
    assert each.min() >= 0
    assert each.max() <= 1
    assert each.mean() == pytest.approx(0.5, abs=0.03)
    assert each.var() == pytest.approx(1 / 8, abs=0.01)
    sequences = np.stack([draw_targets("sequence", 7, 0.5, 1, i, 0) for i in range(50)])
    assert (sequences == sequences[:, :1]).all()
    assert different(sequences) == 50
    assert different(draw_targets("frame", 8, 0.5, 1, 1, 0)) == 8
    np.testing.assert_array_equal(draw_targets("frame", 8, 0.5, 1, 2, 3), draw_targets("frame", 8, 0.5, 1, 2, 3))


def test_erasings_are_drawn_for_each_frame_and_once_for_a_sequence():
    frames = [draw_erasings("frame", 8, POLICY, SETTINGS, 1, i, 0) for i in range(100)]
    drawn = [draw for sample in frames for draw in sample if draw]
    assert len(drawn) / 800 == pytest.approx(0.5, abs=0.07)
    assert len(set(drawn)) > 0.9 * len(drawn)
    assert all(draw.top + draw.height <= 72 and draw.left + draw.width <= 60 for draw in drawn)
    sequences = [draw_erasings("sequence", 7, POLICY, SETTINGS, 1, i, 0) for i in range(100)]
    assert all(len(sample) == 7 and len(set(sample)) == 1 for sample in sequences)
    assert sum(sample[0] is not None for sample in sequences) == pytest.approx(50, abs=20)
    assert frames[3] == draw_erasings("frame", 8, POLICY, SETTINGS, 1, 3, 0)


def test_each_frame_has_noise_of_its_own():
    draw = ErasingDraw(0, 0, 4, 5)
    noise = draw_erasing_noise([draw, None, draw], [0.5, 0.5, 0.5], 1, 2, 3)
    assert noise.dtype == np.float32
    first, last = noise.reshape(2, 60)
    assert not np.array_equal(first, last)
    np.testing.assert_array_equal(noise, draw_erasing_noise([draw, None, draw], [0.5, 0.5, 0.5], 1, 2, 3))
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert not np.isin(draw_erasing_noise([draw], [0.5], *other), noise).any()
    assert draw_erasing_noise([None], [0.5], 1, 2, 3).shape == (0,)


@pytest.mark.parametrize(("real", "fake"), [(2, 3), (0, 0)])
def test_unequal_or_empty_samples_are_refused(real, fake):
    with pytest.raises(ValueError, match="as many fake frames"):
        transform_pair(still(real), still(fake), "frame", POLICY, SETTINGS, 1, 2, 3)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'frame' or 'sequence'"):
        draw_targets("video", 8, 0.5, 1, 2, 3)
