import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.data.seeding import generator
from dfdc.stages.training.augment.erasing import ErasingDraw, draw_erasing, draw_noise, erase_
from dfdc.stages.training.augment.mixup import mix
from dfdc.stages.training.augment.settings import AugmentSettings
from published import published

ALWAYS = published(AugmentSettings, erasing=1.0)


@given(seed=st.integers(0, 10**6), height=st.integers(20, 300), width=st.integers(20, 300))
@settings(deadline=None, max_examples=300)
def test_rectangles_keep_to_their_bounds(seed, height, width):
    draw = draw_erasing(generator(seed, "e"), ALWAYS, height, width)
    if draw is None:  # ten tries may all fail in a narrow image
        return
    assert 0 <= draw.top < draw.top + draw.height <= height
    assert 0 <= draw.left < draw.left + draw.width <= width
    # sides were rounded to pixels: the true ones lie within half a pixel
    least = (draw.height - 0.5) * (draw.width - 0.5) / (height * width)
    largest = (draw.height + 0.5) * (draw.width + 0.5) / (height * width)
    assert largest >= 0.02
    assert least <= 1 / 3
    assert (draw.height + 0.5) / (draw.width - 0.5) >= 0.3
    assert (draw.height - 0.5) / (draw.width + 0.5) <= 1 / 0.3


def test_draws_follow_the_published_distribution():
    settings = published(AugmentSettings, erasing=0.2)
    assert np.mean(
        [draw_erasing(generator(1, i), settings, 224, 192) is not None for i in range(4000)]
    ) == pytest.approx(0.2, abs=0.025)
    drawn = [draw_erasing(generator(2, i), ALWAYS, 224, 192) for i in range(3000)]
    assert all(drawn)
    areas = np.array([draw.height * draw.width for draw in drawn]) / (224 * 192)
    assert areas.min() == pytest.approx(0.02, abs=0.003)
    assert areas.max() == pytest.approx(1 / 3, abs=0.01)
    assert areas.mean() == pytest.approx((0.02 + 1 / 3) / 2, abs=0.01)
    logs = np.log([draw.height / draw.width for draw in drawn])
    assert logs.mean() == pytest.approx(0, abs=0.1)
    assert np.abs(logs).max() == pytest.approx(np.log(1 / 0.3), abs=0.1)
    assert not any(draw_erasing(generator(3, i), published(AugmentSettings), 224, 192) for i in range(50))


def test_only_the_rectangle_becomes_normal_noise():
    batch = torch.full((3, 3, 224, 192), 9.0)
    draw = ErasingDraw(20, 30, 120, 100)
    noise = torch.from_numpy(draw_noise(generator(5, "n"), draw, 0.0))
    assert noise.dtype == torch.float32
    assert erase_(batch, [None, draw, None], noise) is batch
    assert (batch[0] == 9).all()
    assert (batch[2] == 9).all()
    inside = batch[1, :, 20:140, 30:130]
    assert (batch[1] == 9).sum() == 3 * (224 * 192 - 120 * 100)
    assert inside.mean().item() == pytest.approx(0, abs=0.02)
    assert inside.std().item() == pytest.approx(1, abs=0.02)
    assert torch.corrcoef(inside.reshape(3, -1)).fill_diagonal_(0).abs().max() < 0.05


@pytest.mark.parametrize(("target", "variance"), [(0, 1), (0.25, 0.625), (0.5, 0.5), (0.9, 0.82), (1, 1)])
def test_the_noise_of_a_mixture_has_the_variance_of_two_that_are_mixed(target, variance):
    """By arithmetic: (1 - t)² + t²."""
    noise = draw_noise(generator(6, "n"), ErasingDraw(0, 0, 300, 300), target)
    assert noise.shape == (270_000,)
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.var() == pytest.approx(variance, rel=0.015)
    assert (noise**4).mean() == pytest.approx(3 * variance**2, rel=0.05)  # as of normal noise


def test_erasing_a_mixture_is_like_mixing_erased_faces():
    """Real and fake are erased in one rectangle, each with noise of its own, and then mixed."""
    draw, targets = ErasingDraw(4, 6, 200, 180), torch.tensor([0.1, 0.4, 0.8])
    real, fake = torch.full((2, 3, 3, 224, 192), 9.0)
    noise = [draw_noise(generator(4, "n", i), draw, target) for i, target in enumerate(targets.tolist())]
    after = erase_(mix(real, fake, targets), [draw] * 3, torch.from_numpy(np.concatenate(noise)))
    for number, faces in enumerate((real, fake)):
        own = [draw_noise(generator(5, "n", number, i), draw, 0.0) for i in range(3)]
        erase_(faces, [draw] * 3, torch.from_numpy(np.concatenate(own)))
    before = mix(real, fake, targets)
    assert torch.equal(before == 9, after == 9)
    shares = torch.linspace(0.01, 0.99, 50)
    for one, other in zip(before, after, strict=True):
        inside = (image[:, 4:204, 6:186].flatten() for image in (one, other))
        torch.testing.assert_close(*(pixels.quantile(shares) for pixels in inside), rtol=0, atol=0.03)


def test_the_memory_format_and_the_precision_make_no_difference():
    draws = [ErasingDraw(1, 2, 8, 9), None, ErasingDraw(0, 5, 4, 3)]
    noise = torch.randn(3 * (8 * 9 + 4 * 3))
    first = erase_(torch.zeros(3, 3, 16, 16), draws, noise)
    assert first.count_nonzero() == len(noise)
    channels_last = torch.zeros(3, 3, 16, 16).to(memory_format=torch.channels_last)
    assert torch.equal(erase_(channels_last, draws, noise), first)
    assert torch.equal(erase_(torch.zeros(3, 3, 16, 16).bfloat16(), draws, noise), first.bfloat16())


def test_one_draw_for_each_image():
    with pytest.raises(ValueError, match="2 images need as many draws, not 1"):
        erase_(torch.zeros(2, 3, 8, 8), [None], torch.zeros(0))
