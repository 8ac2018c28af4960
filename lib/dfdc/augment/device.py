"""The part of the augmentation that runs where the network runs: normalising and mixing of whole batches."""

import numpy as np
import torch

# Mean and standard deviation of ImageNet's red, green and blue, in units of the full range.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(batch: torch.Tensor) -> torch.Tensor:
    """Turn RGB uint8 images, N x height x width x 3, into normalised float32, N x 3 x height x width.

    Only the axes are renamed: the result lies in memory as ``channels_last``.
    """
    images = batch.permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(values, device=batch.device).view(1, 3, 1, 1) for values in (MEAN, STD))
    return images.div_(255).sub_(mean).div_(std)


def denormalise(images: torch.Tensor) -> np.ndarray:
    """The RGB uint8 images, N x height x width x 3, of normalised ones: what ``normalise`` undone gives."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    pixels = (images.detach().float().cpu() * std + mean) * 255
    return pixels.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def mix(real: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mix batches N x 3 x height x width of real and fake images: ``(1 - t) · real + t · fake``.

    ``targets`` are N numbers from 0 (real) to 1 (fake). Zhang et al., "mixup: Beyond Empirical Risk
    Minimization" (2018), section 2, with a frame and its own fake as the two samples.
    """
    weight = targets.to(real).view(-1, 1, 1, 1)
    return (1 - weight) * real + weight * fake
