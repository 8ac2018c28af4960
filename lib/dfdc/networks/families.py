"""The networks of all families, and what a family provides.

A network has one output, for single frames (kind "frame") or for each frame of a window (kind "sequence"). Further
families are one module each, named in ``settings.FAMILIES``, with the functions of ``Family``.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Protocol

import torch
from torch import Tensor, nn

from dfdc.networks.inputs import Normalisation
from dfdc.networks.settings import ARCHITECTURES, KINDS, ModelKind, family_module, is_timm_name
from dfdc.system.errors import UserError


class Family(Protocol):
    """What the module of a family provides."""

    def build(self, architecture: str, kind: ModelKind, image_size: tuple[int, int], sequence_length: int) -> nn.Module:
        """Build a network with random weights; see ``build_model``."""

    def head(self, architecture: str) -> tuple[str, ...]:
        """How the names of the last layer's parameters begin."""

    def normalisation(self, architecture: str) -> Normalisation:
        """The mean and the standard deviation of the inputs."""

    def named(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Tensors from a file, with the names that the network has."""

    def inflate(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The weights of a frame network as those of a sequence network."""


def family_of(architecture: str) -> Family:
    """The family of an architecture. Raises UserError if there is no such architecture."""
    if architecture not in ARCHITECTURES and not is_timm_name(architecture):
        known = f"{', '.join(ARCHITECTURES)} or timm/ and the name of a model in the package timm"
        raise UserError(f"unknown architecture {architecture!r}; choose one of {known}")
    return import_module(family_module(architecture))


def build_model(architecture: str, kind: ModelKind, image_size: tuple[int, int], sequence_length: int = 7) -> nn.Module:
    """Build a network with random weights (from torch's global generator), in training mode.

    Its input is normalised images (N, 3, height, width) of the size ``image_size`` (height, width); its outputs are
    logits (N, 1), of which a positive one means fake. A sequence network takes ``sequence_length`` frames per clip: its
    input has clips × sequence_length frames, those of a clip adjacent and in order. Raises UserError for an unknown
    architecture or kind.

    The network has the attributes ``architecture``, ``kind`` and ``normalisation`` (of its inputs).
    """
    if kind not in KINDS:
        raise UserError(f"unknown kind of model {kind!r}; choose one of {', '.join(KINDS)}")
    family = family_of(architecture)
    model = family.build(architecture, kind, image_size, sequence_length)
    model.architecture, model.kind = architecture, kind
    model.normalisation = family.normalisation(architecture)
    return model


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of the last layer, the only ones trained in the warm-up."""
    head = family_of(model.architecture).head(model.architecture)
    return [parameter for name, parameter in model.named_parameters() if name.startswith(head)]


def load_backbone(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load pretrained weights of a frame network without its last layer into a network of either kind.

    ``state`` comes from ``dfdc.networks.weights.pretrained.load_pretrained``. The last layer is left unchanged. Raises
    RuntimeError if names or shapes do not match.
    """
    family = family_of(model.architecture)
    last = family.head(model.architecture)
    head = {name: value for name, value in model.state_dict().items() if name.startswith(last)}
    backbone = family.inflate(state) if model.kind == "sequence" else state
    model.load_state_dict({**backbone, **head})


@cache
def state_shapes(architecture: str, kind: ModelKind) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a network's state dict, in order, without allocating weights."""
    with torch.device("meta"):
        model = build_model(architecture, kind, (224, 224))
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}
