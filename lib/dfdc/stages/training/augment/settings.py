"""What the augmentation of images may be told."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class AugmentSettings:
    """How often each transform is drawn, and from what range. The defaults are the published values.

    - ``flip``, ``autoaugment``, ``erasing``: probabilities of the three for an image. Of the published
      models one erases, with probability 0.2.
    - ``magnitude_std``: standard deviation of an AutoAugment magnitude about the policy's own, 0 to 10.
    - ``erasing_area``: least and largest share of the image that is erased.
    - ``erasing_aspect``: least and largest height / width of what is erased.
    """

    flip: float = 0.5
    autoaugment: float = 0.5
    magnitude_std: float = 0.5
    erasing: float = 0.0
    erasing_area: Sequence[float] = (0.02, 1 / 3)
    erasing_aspect: Sequence[float] = (0.3, 1 / 0.3)
