"""Augmentation of training images, and the plain transform of prediction.

On the CPU, for each sample: ``transform_pair``, ``draw_targets``, ``draw_erasings``. Where the network runs,
for the whole batch: ``normalise`` both, ``mix`` them, ``erase_``. In prediction: ``center_transform``, then
``normalise``.
"""

from dfdc.augment.device import denormalise, mix, normalise
from dfdc.augment.erasing import ErasingDraw, draw_erasing, erase_
from dfdc.augment.pair import draw_erasings, draw_targets, transform_pair
from dfdc.augment.settings import AugmentSettings, CropPolicy
from dfdc.augment.transform import TransformDraw, apply_transform, center_transform, draw_transform

__all__ = [
    "AugmentSettings",
    "CropPolicy",
    "ErasingDraw",
    "TransformDraw",
    "apply_transform",
    "center_transform",
    "denormalise",
    "draw_erasing",
    "draw_erasings",
    "draw_targets",
    "draw_transform",
    "erase_",
    "mix",
    "normalise",
    "transform_pair",
]
