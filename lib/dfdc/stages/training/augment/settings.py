"""Settings for image augmentation."""

from collections.abc import Sequence
from dataclasses import dataclass

from dfdc.system.settings import Positive, Settings, Share


@dataclass(frozen=True)
class MixtureSettings(Settings):
    """Augmentation and mixing of faces, the same for every model."""

    mixup_alpha: Positive
    """The share of the fake in a mixed face is drawn from Beta(alpha, alpha)."""
    flip: Share
    """The probability of a horizontal flip."""
    autoaugment: Share
    """The probability of AutoAugment."""


@dataclass(frozen=True)
class ErasingSettings(Settings):
    """Augmentation that differs between models."""

    erasing: Share
    """The probability of Random Erasing."""


@dataclass(frozen=True)
class AugmentSettings:
    """The probability and range of each transform.

    - ``flip``, ``autoaugment``, ``erasing``: probabilities per image, see above.
    - ``magnitude_std``: standard deviation of an AutoAugment magnitude (0 to 10) around the policy's value.
    - ``erasing_area``: smallest and largest share of the image that is erased.
    - ``erasing_aspect``: smallest and largest height / width of the erased rectangle.
    """

    flip: float
    autoaugment: float
    erasing: float
    magnitude_std: float = 0.5
    erasing_area: Sequence[float] = (0.02, 1 / 3)
    erasing_aspect: Sequence[float] = (0.3, 1 / 0.3)
