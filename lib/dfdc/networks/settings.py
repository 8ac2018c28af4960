"""The architectures and kinds of networks, and the settings for preparing their inputs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from annotated_types import Predicate

from dfdc.system.settings import Pixels, Settings, Words

# The module of each family of architectures (see ``dfdc.networks.families``). They are named, not imported, so that a
# change to one family does not rerun jobs that use another: rules add the code of their own.
FAMILIES = {
    "efficientnet": "dfdc.networks.efficientnet",
    "timm": "dfdc.networks.timm_models",
}

EfficientNetName = Literal[
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
ARCHITECTURES = get_args(EfficientNetName)


def is_timm_name(text: str) -> bool:
    """Whether a string is timm/ and what can be the name of a model in the package timm."""
    return re.fullmatch(r"timm/[a-z0-9_]{1,60}(\.[a-z0-9_]{1,60})?", text) is not None


TimmName = Annotated[str, Predicate(is_timm_name), Words("timm/ and the name of a model in the package timm")]
Architecture = EfficientNetName | TimmName
ModelKind = Literal["frame", "sequence"]
KINDS = get_args(ModelKind)


def family_module(architecture: str) -> str:
    """The name of the module of an architecture's family."""
    return FAMILIES["timm" if is_timm_name(architecture) else "efficientnet"]


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
