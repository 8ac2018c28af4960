from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.data.seeding import generator
from dfdc.networks.inputs import center_transform
from dfdc.networks.settings import CropPolicy
from dfdc.stages.training.augment.settings import AugmentSettings
from dfdc.stages.training.augment.transform import TransformDraw, apply_transform, draw_transform
from dfdc.system.errors import UserError
from published import published

LARGE = published(CropPolicy)
CLOSE = published(CropPolicy, smaller_side=224, pad=False)
PLAIN = published(AugmentSettings, autoaugment=0.0)


def coordinates(height: int, width: int) -> np.ndarray:
    """An image whose pixels say where they are: row, column, and 7."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, 7)], axis=2).astype(np.uint8)


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(
    height=st.integers(8, 300),
    width=st.integers(8, 300),
    seed=st.integers(0, 10_000),
    policy=st.sampled_from((LARGE, CLOSE, CropPolicy(112, True, 128, 112), CropPolicy(32, False, 32, 28))),
)
@settings(deadline=None, max_examples=60)
def test_any_image_gets_the_policy_s_size(height, width, seed, policy):
    image = texture(height, width)
    before = image.copy()
    for result in (
        apply_transform(image, draw_transform(generator(seed, "t"), published(AugmentSettings)), policy),
        center_transform(image, policy, flip=bool(seed % 2)),
    ):
        assert result.shape == (policy.height, policy.width, 3)
        assert result.dtype == np.uint8
        assert result.flags.c_contiguous
        assert not np.shares_memory(result, image)
    np.testing.assert_array_equal(image, before)


@given(left=st.floats(0, 1, exclude_max=True), top=st.floats(0, 1, exclude_max=True), flip=st.booleans())
@settings(deadline=None)
def test_the_crop_lies_inside_and_is_one_piece(left, top, flip):
    image = coordinates(250, 224)
    crop = apply_transform(image, TransformDraw(flip, left, top, ()), CLOSE)
    assert (crop[..., 2] == 7).all()
    assert (np.diff(crop[..., 0].astype(int), axis=0) == 1).all()
    assert (np.diff(crop[..., 1].astype(int), axis=1) == (-1 if flip else 1)).all()


def test_the_crop_reaches_every_place_equally_often():
    image = coordinates(36, 32)
    policy = CropPolicy(32, False, 32, 29)
    places = Counter()
    for i in range(4000):
        draw = draw_transform(generator(2, i), published(AugmentSettings, flip=0.0, autoaugment=0.0))
        places[tuple(apply_transform(image, draw, policy)[0, 0, :2].tolist())] += 1
    assert set(places) == {(row, column) for row in range(5) for column in range(4)}
    assert min(places.values()) > 130
    assert max(places.values()) < 270


def test_the_smaller_side_is_resized_bilinearly():
    image = texture(300, 280)
    resized = cv2.resize(image, (224, 240), interpolation=cv2.INTER_LINEAR)
    crop = apply_transform(image, TransformDraw(False, 0.0, 0.0, ()), CLOSE)
    np.testing.assert_array_equal(crop, resized[:224, :192])
    np.testing.assert_array_equal(center_transform(image, CLOSE), resized[8:232, 16:208])


def test_the_large_crop_reflects_without_repeating_the_edge():
    image = texture(192, 200)
    padded = np.pad(image, ((16, 16), (0, 0), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(center_transform(image, LARGE), padded[:, 4:196])
    right = apply_transform(image, TransformDraw(False, 0.999, 0.5, ()), LARGE)
    np.testing.assert_array_equal(right, padded[:, 8:200])
    # nothing to pad in a tall image, and an odd rest goes below
    np.testing.assert_array_equal(center_transform(texture(224, 192), LARGE), texture(224, 192))
    odd = center_transform(texture(193, 192), LARGE)
    np.testing.assert_array_equal(odd, np.pad(texture(193, 192), ((15, 16), (0, 0), (0, 0)), mode="reflect"))


@pytest.mark.parametrize("policy", [LARGE, CLOSE])
def test_flips_are_mirror_images(policy):
    image = texture(280, 230)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    np.testing.assert_array_equal(center_transform(image, policy, flip=True), center_transform(image, policy)[:, ::-1])
    flipped = apply_transform(image, TransformDraw(True, 0.3, 0.7, ()), policy).astype(int)
    by_hand = apply_transform(mirrored, TransformDraw(False, 0.3, 0.7, ()), policy)
    assert np.abs(flipped - by_hand).max() <= 1  # rounding of the resize


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_the_same_draw_moves_twins_alike(seed):
    """Two images that differ in one patch still differ in one patch only, whatever the geometry."""
    draw = draw_transform(generator(seed, "twins"), published(AugmentSettings, autoaugment=0.0))
    real = texture(260, 240)
    fake = real.copy()
    fake[100:140, 90:130] = 255 - fake[100:140, 90:130]
    for policy in (LARGE, CLOSE):
        differs = (apply_transform(real, draw, policy) != apply_transform(fake, draw, policy)).any(2)
        rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        factor = policy.smaller_side / 240
        assert np.ptp(rows) + 1 == pytest.approx(40 * factor, abs=3)
        assert np.ptp(columns) + 1 == pytest.approx(40 * factor, abs=3)
        np.testing.assert_array_equal(apply_transform(real, draw, policy), apply_transform(real.copy(), draw, policy))


def test_draws_follow_their_probabilities():
    drawn = [draw_transform(generator(4, i), published(AugmentSettings)) for i in range(3000)]
    assert np.mean([draw.flip for draw in drawn]) == pytest.approx(0.5, abs=0.04)
    some = np.mean([bool(draw.operations) for draw in drawn])
    assert 0.35 < some < 0.5  # a chosen sub-policy may still do nothing
    assert np.mean([draw.left for draw in drawn]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([draw.top for draw in drawn]) == pytest.approx(0.5, abs=0.03)
    assert not any(draw_transform(generator(4, i), PLAIN).operations for i in range(50))


def test_a_crop_that_cannot_fit_is_a_user_error():
    with pytest.raises(UserError, match="must be at least 224"):
        published(CropPolicy, pad=False)
    with pytest.raises(UserError, match="at least 1 pixel"):
        published(CropPolicy, smaller_side=0)
