import numpy as np
import torch

from dfdc.networks.inputs import normalise
from dfdc.stages.training.augment.mixup import mix


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 10, 8, 3), np.uint8)


def test_normalise_is_imagenet_s():
    pixels = images(4)
    expected = (pixels / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    result = normalise(torch.from_numpy(pixels))
    assert result.dtype == torch.float32
    assert result.shape == (4, 3, 10, 8)
    np.testing.assert_allclose(result.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_mix_follows_each_image_s_target():
    real, fake = (normalise(torch.from_numpy(images(3, seed))) for seed in (1, 2))
    mixed = mix(real, fake, torch.tensor([0.0, 1.0, 0.25]))
    assert torch.equal(mixed[0], real[0])
    assert torch.equal(mixed[1], fake[1])
    torch.testing.assert_close(mixed[2], 0.75 * real[2] + 0.25 * fake[2])
    assert mixed.is_contiguous(memory_format=torch.channels_last)


def test_mixing_twins_changes_nothing():
    real = normalise(torch.from_numpy(images(5)))
    torch.testing.assert_close(mix(real, real, torch.rand(5)), real)
