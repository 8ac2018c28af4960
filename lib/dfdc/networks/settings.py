"""What networks there are, and how a picture of a face becomes what one takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dfdc.system.settings import Pixels, Settings

Architecture = Literal[
    "efficientnet-b0",
    "efficientnet-b1",
    "efficientnet-b2",
    "efficientnet-b3",
    "efficientnet-b4",
    "efficientnet-b5",
    "efficientnet-b6",
    "efficientnet-b7",
    "efficientnet-lite0",
]
ModelKind = Literal["frame", "sequence"]


@dataclass(frozen=True)
class CropPolicy(Settings):
    """How an image of any size becomes one of `height` x `width` pixels. Raises UserError if the crop cannot fit."""

    smaller_side: Pixels
    """The image is resized so that its smaller side has so many pixels."""
    pad: bool
    """Whether it is then padded by reflection where it is still smaller than the crop."""
    height: Pixels
    """The height of the crop."""
    width: Pixels
    """The width of the crop."""

    def __post_init__(self) -> None:
        """Check that the crop fits into the resized image whatever its shape: weights of elsewhere name crops, too."""
        self.refuse_contradictions("crop")

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """A crop that cannot be cut."""
        side = max(self.height, self.width)
        if min(self.smaller_side, self.height, self.width) < 1:
            yield "smaller_side", "must be at least 1 pixel, and so must height and width"
        elif not self.pad and self.smaller_side < side:
            yield "smaller_side", f"must be at least {side} (height and width), or set pad; it is {self.smaller_side}"
