"""What the augmentation of images may be told."""

from collections.abc import Sequence
from dataclasses import dataclass

from dfdc.system.settings import Positive, Settings, Share


@dataclass(frozen=True)
class MixtureSettings(Settings):
    """How faces are changed and mixed, for every model alike."""

    mixup_alpha: Positive
    """The share of the fake in a mixed face is drawn from Beta(alpha, alpha)."""
    flip: Share
    """The probability of a horizontal flip."""
    autoaugment: Share
    """The probability of AutoAugment."""


@dataclass(frozen=True)
class ErasingSettings(Settings):
    """What each model has of its own."""

    erasing: Share
    """The probability of Random Erasing."""


@dataclass(frozen=True)
class AugmentSettings:
    """How often each transform is drawn, and from what range.

    - ``flip``, ``autoaugment``, ``erasing``: probabilities of the three for an image, see above.
    - ``magnitude_std``: standard deviation of an AutoAugment magnitude about the policy's own, 0 to 10.
    - ``erasing_area``: least and largest share of the image that is erased.
    - ``erasing_aspect``: least and largest height / width of what is erased.
    """

    flip: float
    autoaugment: float
    erasing: float
    magnitude_std: float = 0.5
    erasing_area: Sequence[float] = (0.02, 1 / 3)
    erasing_aspect: Sequence[float] = (0.3, 1 / 0.3)
