"""Preprocessing of face images: resizing, centre crop, normalisation."""

import functools
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from dfdc.networks.settings import CropPolicy


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of red, green and blue, in units of the full range, of a network's inputs."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def normalise(batch: torch.Tensor, by: Normalisation = IMAGENET) -> torch.Tensor:
    """Turn RGB uint8 images, N x height x width x 3, into normalised float32, N x 3 x height x width.

    Only the axes are permuted: the result has the memory format ``channels_last``.
    """
    images = batch.permute(0, 3, 1, 2).float()
    mean, std = _constants(batch.device, by)
    return images.div_(255).sub_(mean).div_(std)


@functools.cache
def _constants(device: torch.device, by: Normalisation) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation on a device: copied there once, because the GPU would be waited for each time."""
    with torch.inference_mode(False):  # whoever asks first, trainings can use them, too
        mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (by.mean, by.std))
    return mean, std


def denormalise(images: torch.Tensor, by: Normalisation = IMAGENET) -> np.ndarray:
    """Turn normalised images back into RGB uint8, N x height x width x 3: the inverse of ``normalise``."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (by.mean, by.std))
    pixels = (images.detach().float().cpu() * std + mean) * 255
    return pixels.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def center_transform(image: np.ndarray, policy: CropPolicy, flip: bool = False) -> np.ndarray:
    """Resize, pad, optionally flip, and crop the centre of an RGB uint8 image, as in prediction."""
    resized = resize_and_pad(image, policy)
    if flip:
        resized = cv2.flip(resized, 1)
    top = (resized.shape[0] - policy.height) // 2
    left = (resized.shape[1] - policy.width) // 2
    return cut_out(resized, top, left, policy)


def resize_and_pad(image: np.ndarray, policy: CropPolicy) -> np.ndarray:
    """Resize an image to the policy's smaller side and, if the policy says so, pad it to at least the crop's size."""
    height, width = image.shape[:2]
    factor = policy.smaller_side / min(height, width)
    size = (round(width * factor), round(height * factor))
    if size != (width, height):
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    if policy.pad:
        rows, columns = max(policy.height - size[1], 0), max(policy.width - size[0], 0)
        borders = (rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)
        image = cv2.copyMakeBorder(image, *borders, cv2.BORDER_REFLECT_101)
    return image


def cut_out(image: np.ndarray, top: int, left: int, policy: CropPolicy) -> np.ndarray:
    """The crop of an image, with the policy's height and width, at (top, left)."""
    return image[top : top + policy.height, left : left + policy.width].copy()
