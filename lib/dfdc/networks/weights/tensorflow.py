"""Conversion of Noisy Student's published TensorFlow checkpoints.

Self-training with Noisy Student: Xie et al., 2020, arXiv:1911.04252. The exponential moving averages in the checkpoint
are used, including those of the batch normalisations' means and variances, not the raw variables.
"""

import contextlib
import lzma
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dfdc.networks.families import state_shapes
from dfdc.system.errors import UserError

# Bytes. Noisy Student's tarball of EfficientNet-B7 has about a fifth of it.
LARGEST_ARCHIVE = 4 * 2**30
_AVERAGE = "ExponentialMovingAverage"
_LEAVES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def is_checkpoint(path: Path) -> bool:
    """Whether a path is a folder or a tarball, the forms of a TensorFlow checkpoint."""
    try:
        return path.is_dir() or (path.is_file() and tarfile.is_tarfile(path))
    except (EOFError, zlib.error, lzma.LZMAError):  # of a tarball that is cut off
        return True


def read_checkpoint(source: Path, architecture: str) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint with efficientnet-pytorch's names, without the last layer.

    ``source`` is a folder or a tarball that contains exactly one checkpoint. Raises UserError if TensorFlow is not
    installed, if there is no checkpoint, or if it lacks variables of this architecture.
    """
    try:
        import tensorflow
    except ImportError as error:
        raise UserError(
            f"{source}: reading a TensorFlow checkpoint requires TensorFlow, which is not installed. "
            "Install it (pip install tensorflow-cpu; the conversion runs once), or use another file with the "
            "same weights: timm's tf_efficientnet_b7.ns_jft_in1k model.safetensors does not need TensorFlow."
        ) from error
    with _checkpoint_prefix(source) as prefix:
        try:
            reader = tensorflow.train.load_checkpoint(str(prefix))
            names = set(reader.get_variable_to_shape_map())
            return convert(reader.get_tensor, names, architecture, source)
        except (tensorflow.errors.OpError, ValueError, LookupError, RuntimeError) as error:
            raise UserError(
                f"{source}: TensorFlow cannot read the checkpoint ({str(error).splitlines()[0]}). "
                "It is damaged or incomplete: download it again."
            ) from error


def convert(read: Callable[[str], np.ndarray], names: set[str], architecture: str, source: Path) -> dict[str, Tensor]:
    """The weights of an architecture; ``read`` returns the variable with one of ``names`` from the checkpoint.

    Raises UserError, which names ``source``, if variables are missing.
    """
    shapes = state_shapes(architecture, "frame")
    expected = {
        name: f"{architecture}/{variable_name(name, _expands(name, shapes))}/{_AVERAGE}"
        for name in shapes
        if not name.startswith("_fc.") and not name.endswith("num_batches_tracked")
    }
    missing = [variable for variable in expected.values() if variable not in names]
    if missing:
        scopes = sorted({name.split("/")[0] for name in names if name.startswith("efficientnet")})
        content = f"weights of {', '.join(scopes)}" if scopes else "no EfficientNet"
        raise UserError(
            f"{source}: the checkpoint lacks {len(missing)} averaged variables of {architecture}, the first is "
            f"{missing[0]}; it contains {content}. Use the published checkpoint of {architecture}, or correct "
            "the architecture in the configuration."
        )
    return {name: _tensor(name, read(variable)) for name, variable in expected.items()}


def variable_name(name: str, expands: bool) -> str:
    """TensorFlow's variable name, without the model's scope, for a name of efficientnet-pytorch.

    TensorFlow numbers layers of the same type within a block in the order of execution, so the numbers depend on
    whether the block has an expansion (``expands``) before its depthwise convolution.
    """
    *scope, layer, leaf = name.split(".")
    if scope:
        folder = f"blocks_{scope[1]}"
        normalisations = ["_bn0", "_bn1", "_bn2"] if expands else ["_bn1", "_bn2"]
        convolutions = ["_expand_conv", "_project_conv"] if expands else ["_project_conv"]
    else:
        folder = "stem" if layer in ("_conv_stem", "_bn0") else "head"
        normalisations = ["_bn0"] if folder == "stem" else ["_bn1"]
        convolutions = ["_conv_stem"] if folder == "stem" else ["_conv_head"]
    if layer in normalisations:
        return f"{folder}/{_numbered('tpu_batch_normalization', normalisations.index(layer))}/{_LEAVES[leaf]}"
    if layer == "_depthwise_conv":
        return f"{folder}/depthwise_conv2d/depthwise_kernel"
    if layer in ("_se_reduce", "_se_expand"):
        folder, convolutions = f"{folder}/se", ["_se_reduce", "_se_expand"]
    leaf = "kernel" if leaf == "weight" else "bias"
    return f"{folder}/{_numbered('conv2d', convolutions.index(layer))}/{leaf}"


def _numbered(layer: str, number: int) -> str:
    return f"{layer}_{number}" if number else layer


def _expands(name: str, shapes: dict[str, tuple[int, ...]]) -> bool:
    block = ".".join(name.split(".")[:2])
    return f"{block}._expand_conv.weight" in shapes


def _tensor(name: str, value: np.ndarray) -> Tensor:
    """A variable in PyTorch's layout; TensorFlow's kernels are height, width, in, out (depthwise: channels, 1)."""
    if value.ndim == 4:
        value = value.transpose((2, 3, 0, 1) if "_depthwise_conv" in name else (3, 2, 0, 1))
    return torch.from_numpy(np.array(value, dtype=np.float32, order="C"))


@contextlib.contextmanager
def _checkpoint_prefix(source: Path) -> Iterator[Path]:
    """Yield the path prefix of the checkpoint in ``source``; a tarball is extracted to a temporary folder."""
    with contextlib.ExitStack() as stack:
        folder = source
        if not source.is_dir():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dfdc-checkpoint-")))
            _unpack(source, folder)
        indices = sorted(folder.rglob("*.index"))
        if len(indices) != 1:
            raise UserError(
                f"{source}: expected one TensorFlow checkpoint (a file ending in .index with its data), found "
                f"{len(indices)}. Use the published tarball or the folder in it."
            )
        yield indices[0].with_suffix("")


def _unpack(tarball: Path, folder: Path) -> None:
    """Extract the checkpoint's files to ``folder`` by base name, because an archive's paths are not trusted."""
    try:
        with tarfile.open(tarball) as archive:
            for member in archive:
                if archive.offset > LARGEST_ARCHIVE:
                    raise UserError(
                        f"{tarball}: the archive unpacks to more than {LARGEST_ARCHIVE / 1e9:.1f} GB, more than any "
                        "supported checkpoint. Use the published tarball."
                    )
                name = Path(member.name).name
                if member.isfile() and (name.endswith(".index") or ".data-" in name):
                    with archive.extractfile(member) as packed, (folder / name).open("wb") as unpacked:
                        shutil.copyfileobj(packed, unpacked)
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise UserError(
            f"{tarball}: the archive cannot be extracted ({error}). It is damaged or incomplete, or the disk "
            "is full: check the space for temporary files and download it again."
        ) from error
