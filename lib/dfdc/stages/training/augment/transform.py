"""Random transforms from an image of any size to the network's input size.

A draw is independent of the image that it is applied to, so a real frame and its fake get the same transform.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from dfdc.networks.inputs import cut_out, resize_and_pad
from dfdc.networks.settings import CropPolicy
from dfdc.stages.training.augment.autoaugment import Operation, apply_operations, draw_operations
from dfdc.stages.training.augment.settings import AugmentSettings


@dataclass(frozen=True)
class TransformDraw:
    """The random draws for one image.

    ``left`` and ``top`` are the position of the crop in [0, 1), as a fraction of the possible positions.
    ``operations`` are AutoAugment's, in order; often there are none.
    """

    flip: bool
    left: float
    top: float
    operations: tuple[Operation, ...]


def draw_transform(rng: np.random.Generator, settings: AugmentSettings) -> TransformDraw:
    """Draw flip, crop position and AutoAugment operations."""
    flip, augmented = rng.random(2) < (settings.flip, settings.autoaugment)
    left, top = rng.random(2)
    operations = draw_operations(rng, settings.magnitude_std) if augmented else ()
    return TransformDraw(bool(flip), float(left), float(top), operations)


def apply_transform(image: np.ndarray, draw: TransformDraw, policy: CropPolicy) -> np.ndarray:
    """Resize, pad, flip, crop and AutoAugment an RGB uint8 image to the policy's height and width."""
    resized = resize_and_pad(image, policy)
    if draw.flip:
        resized = cv2.flip(resized, 1)
    # All n + 1 crop positions are equally likely.
    top = int(draw.top * (resized.shape[0] - policy.height + 1))
    left = int(draw.left * (resized.shape[1] - policy.width + 1))
    return apply_operations(cut_out(resized, top, left, policy), draw.operations)
