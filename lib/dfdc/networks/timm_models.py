"""The family of timm's models (see ``families``): any convolutional network of the package timm, named timm/NAME.

The package is an extra (pip install "dfdc[timm]"). A sequence network averages the features of all frames of a window
before the last layer, so all frames of a window have the same output.
"""

import difflib
from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import Tensor, nn

from dfdc.networks.inputs import Normalisation
from dfdc.networks.settings import ModelKind
from dfdc.system.errors import UserError

_PREFIX = "network."


class Classifier(nn.Module):
    """A model of timm with one output. Created by ``build_model``."""

    def __init__(self, network: nn.Module, frames_per_clip: int | None) -> None:
        """Wrap a model of timm; if ``frames_per_clip`` is not None, features are averaged over as many frames."""
        super().__init__()
        self.network, self.frames_per_clip = network, frames_per_clip

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 1) of normalised images (N, 3, height, width); a positive logit means fake.

        Raises ValueError if N is not a multiple of the frames per clip.
        """
        frames = self.frames_per_clip or 1
        if len(images) % frames:
            raise ValueError(f"{len(images)} frames is not a multiple of {frames} frames per clip")
        features = self.network.forward_head(self.network.forward_features(images), pre_logits=True)
        of_clips = features.view(-1, frames, features.shape[1]).mean(1)
        return self.network.get_classifier()(of_clips).repeat_interleave(frames, 0)


def build(architecture: str, kind: ModelKind, image_size: tuple[int, int], sequence_length: int) -> Classifier:
    """Build a network; see ``families.build_model``. The weights do not depend on the size of the images.

    Raises UserError if timm is not installed, has no such model, or only has it for images of one size.
    """
    if _default(architecture).get("fixed_input_size"):
        raise UserError(
            f"The model {architecture} takes images of one size only, and cannot be used here. Choose a convolutional "
            "network of timm."
        )
    network = _timm().create_model(_name(architecture), num_classes=1)
    if not isinstance(network.get_classifier(), nn.Linear):
        raise UserError(
            f"The model {architecture} has more than one linear layer at its end, and cannot be used here. Choose "
            "another one of timm's."
        )
    return Classifier(network, sequence_length if kind == "sequence" else None)


def head(architecture: str) -> tuple[str, ...]:
    """How the names of the last layer's parameters begin."""
    return (f"{_PREFIX}{_default(architecture)['classifier']}.",)


def normalisation(architecture: str) -> Normalisation:
    """Those of the model's pretraining."""
    default = _default(architecture)
    return Normalisation(tuple(default["mean"]), tuple(default["std"]))


def named(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Tensors from a file, with the names that the network has: timm's own files lack the prefix."""
    return {name if name.startswith(_PREFIX) else f"{_PREFIX}{name}": value for name, value in state.items()}


def inflate(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The weights of a frame network as those of a sequence network: the same."""
    return state


def _name(architecture: str) -> str:
    return architecture.removeprefix("timm/")


@cache
def _default(architecture: str) -> Mapping[str, Any]:
    """What timm says of a model: its classifier, its normalisation."""
    timm, name = _timm(), _name(architecture)
    if not timm.is_model(name):
        near = difflib.get_close_matches(name.partition(".")[0], timm.list_models(), 3)
        like = f" Similar ones: {', '.join(f'timm/{model}' for model in near)}." if near else ""
        raise UserError(f"The package timm {timm.__version__} has no model {name!r} ({architecture}).{like}")
    return timm.get_pretrained_cfg(name).to_dict()


def _timm() -> Any:
    try:
        import timm  # imported late, because it is an extra
    except ImportError as error:
        raise UserError(
            f"Architectures timm/… need the package timm, which cannot be imported ({error}). Install it with: "
            'pip install "dfdc[timm]" (in a clone: pip install ".[timm]").'
        ) from error
    return timm
