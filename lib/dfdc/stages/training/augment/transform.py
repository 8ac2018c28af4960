"""From an image of any size to the network's input size: at random in training, centred in prediction.

A draw does not know the image that it will be applied to, so the same draw gives a frame and its twin the
same treatment.
"""

from dataclasses import dataclass

import numpy as np

from dfdc.networks.inputs import cut_out, resize_and_pad
from dfdc.networks.settings import CropPolicy
from dfdc.stages.training.augment.autoaugment import Operation, apply_operations, draw_operations
from dfdc.stages.training.augment.settings import AugmentSettings


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
    resized = resize_and_pad(image, policy)
    if draw.flip:
        resized = resized[:, ::-1]
    # Of n + 1 places for the crop each is as likely as the others.
    top = int(draw.top * (resized.shape[0] - policy.height + 1))
    left = int(draw.left * (resized.shape[1] - policy.width + 1))
    return apply_operations(cut_out(resized, top, left, policy), draw.operations)
