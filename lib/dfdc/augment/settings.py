"""What the augmentation of images may be told."""

from collections.abc import Sequence
from dataclasses import dataclass

from dfdc.errors import UserError


@dataclass(frozen=True)
class CropPolicy:
    """How an image of any size becomes one of ``height`` x ``width`` pixels.

    It is resized so that its smaller side has ``smaller_side`` pixels and, with ``pad``, padded by reflection
    where it is still smaller than the crop. Raises UserError if the crop cannot fit.
    """

    smaller_side: int
    pad: bool = False
    height: int = 224
    width: int = 192

    def __post_init__(self) -> None:
        """Check that the crop fits into the resized image whatever its shape."""
        if min(self.smaller_side, self.height, self.width) < 1:
            raise UserError(f"{self} has a side without pixels. Give sides of at least 1 pixel.")
        if not self.pad and self.smaller_side < max(self.height, self.width):
            raise UserError(
                f"a crop of {self.height} x {self.width} pixels does not fit into images whose smaller side "
                f"is {self.smaller_side}. Make smaller_side at least {max(self.height, self.width)}, "
                f"or set pad."
            )


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
