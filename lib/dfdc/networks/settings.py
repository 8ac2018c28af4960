"""The architectures and kinds of networks, and the settings for preparing their inputs."""

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
    """How an image is resized and cropped to `height` x `width` pixels. Raises UserError if the crop cannot fit."""

    smaller_side: Pixels
    """Faces are resized until their smaller side has this many pixels."""
    pad: bool
    """Whether they are then padded by reflection to the size of the crop."""
    height: Pixels
    """The height of the crop in pixels."""
    width: Pixels
    """The width of the crop in pixels."""

    def __post_init__(self) -> None:
        """Check that the crop fits into any resized image; crops also come from the metadata of weights."""
        self.refuse_contradictions("crop")

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """A crop that does not fit into the resized image."""
        side = max(self.height, self.width)
        if min(self.smaller_side, self.height, self.width) < 1:
            yield "smaller_side", "must be at least 1 pixel, and so must height and width"
        elif not self.pad and self.smaller_side < side:
            yield "smaller_side", f"must be at least {side} (height and width), or set pad; it is {self.smaller_side}"
