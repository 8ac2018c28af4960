"""Loading of finished weights and of backbones from PyTorch and safetensors files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from dfdc.networks.families import family_of, state_shapes
from dfdc.networks.settings import ModelKind
from dfdc.networks.weights.check import matched
from dfdc.networks.weights.files import read_tensors


def load_weights(path: str | Path, architecture: str, kind: ModelKind, own: bool = False) -> dict[str, Tensor]:
    """Read the finished weights of a network, including its last layer.

    ``path`` is a file written by ``save_weights`` or a PyTorch ``.pth`` (such as the published ones, in full or half
    precision); ``own``: it must be the former. Raises UserError if it is missing, damaged or of another architecture or
    kind.
    """
    path = Path(path)
    wanted = state_shapes(architecture, kind)
    return matched(_read_named(path, architecture, own), wanted, path, f"weights of a {kind} model of {architecture}")


def read_backbone(path: str | Path, architecture: str, own: bool = False) -> dict[str, Tensor]:
    """Read a frame network without its last layer from a safetensors or PyTorch file; see ``load_pretrained``.

    Raises UserError if the file is missing, damaged or of another architecture.
    """
    path = Path(path)
    return matched_backbone(_read_named(path, architecture, own), architecture, path)


def matched_backbone(state: Mapping[str, Any], architecture: str, path: Path) -> dict[str, Tensor]:
    """The tensors of a frame network without its last layer, checked against the architecture.

    Raises UserError, which names ``path`` as the source, if they are of another architecture.
    """
    head = family_of(architecture).head(architecture)
    wanted = _without(head, state_shapes(architecture, "frame"))
    return matched(_without(head, state), wanted, path, f"pretrained weights of {architecture}")


def _without(head: tuple[str, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if not name.startswith(head)}


def _read_named(path: Path, architecture: str, own: bool) -> Mapping[str, Tensor]:
    return family_of(architecture).named(read_tensors(path, own))
