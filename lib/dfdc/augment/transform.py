"""From an image of any size to the network's input size: at random in training, centred in prediction.

A draw does not know the image that it will be applied to, so the same draw gives a frame and its twin the
same treatment.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from dfdc.augment.autoaugment import Operation, apply_operations, draw_operations
from dfdc.augment.settings import AugmentSettings, CropPolicy


@dataclass(frozen=True)
class TransformDraw:
    """All that chance decides about one image.

    ``left`` and ``top`` place the crop, from 0 (at the edge) up to but without 1 (at the other edge).
    ``operations`` are AutoAugment's, in order; often there are none.
    """

    flip: bool
    left: float
    top: float
    operations: tuple[Operation, ...]


def draw_transform(rng: np.random.Generator, settings: AugmentSettings) -> TransformDraw:
    """Draw flip, place of the crop and AutoAugment operations."""
    flip, augmented = rng.random(2) < (settings.flip, settings.autoaugment)
    left, top = rng.random(2)
    operations = draw_operations(rng, settings.magnitude_std) if augmented else ()
    return TransformDraw(bool(flip), float(left), float(top), operations)


def apply_transform(image: np.ndarray, draw: TransformDraw, policy: CropPolicy) -> np.ndarray:
    """Resize, pad, flip, crop and AutoAugment an RGB uint8 image; it gets the policy's height and width."""
    resized = _resize(image, policy)
    if draw.flip:
        resized = resized[:, ::-1]
    # Of n + 1 places for the crop each is as likely as the others.
    top = int(draw.top * (resized.shape[0] - policy.height + 1))
    left = int(draw.left * (resized.shape[1] - policy.width + 1))
    return apply_operations(_crop(resized, top, left, policy), draw.operations)


def center_transform(image: np.ndarray, policy: CropPolicy, flip: bool = False) -> np.ndarray:
    """Resize, pad, flip if asked to, and cut out the centre: an RGB uint8 image as in prediction."""
    resized = _resize(image, policy)
    if flip:
        resized = resized[:, ::-1]
    top = (resized.shape[0] - policy.height) // 2
    left = (resized.shape[1] - policy.width) // 2
    return _crop(resized, top, left, policy)


def _resize(image: np.ndarray, policy: CropPolicy) -> np.ndarray:
    """The image with the policy's smaller side, padded to hold the crop if the policy pads."""
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


def _crop(image: np.ndarray, top: int, left: int, policy: CropPolicy) -> np.ndarray:
    return image[top : top + policy.height, left : left + policy.width].copy()
