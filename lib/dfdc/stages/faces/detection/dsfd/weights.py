"""Loading the detector's weights, with helpful errors if they do not fit."""

from pathlib import Path

import torch
from torch import Tensor

from dfdc.stages.faces.detection.dsfd.network import DSFD
from dfdc.system.checksums import verify_archive
from dfdc.system.errors import UserError

PUBLIC_FILES = "WIDERFace_DSFD_RES152.pth or WIDERFace_DSFD_RES152.fp16.pth"
DIFFERENCES_SHOWN = 4
LARGEST = 2**30  # bytes; the public file has half of it

# Key prefixes of files that are easily mistaken for the detector's weights, and what these files are.
LOOK_ALIKES = {
    "module.": "it was saved from a DataParallel wrapper: remove 'module.' from the front of its keys",
    "state_dict": "it is a training checkpoint: save its 'state_dict' entry alone",
    "vgg.": "it is DSFD with a VGG backbone, not with ResNet-152",
    "_conv_stem.": "it is an EfficientNet",
    "conv1.": "it is a ResNet classifier",
}


def load_dsfd(path: str | Path) -> DSFD:
    """The network with the weights of a ``.pth`` file, in evaluation mode and float32 on the CPU.

    The file is a state dictionary of float32 or float16 tensors, in either of PyTorch's formats. Raises
    UserError if it is missing, unreadable or of another network.
    """
    path = Path(path)
    with torch.device("meta"):  # no allocation and initialisation of parameters that are replaced anyway
        network = DSFD()
    state = _read(path)
    _check(path, state, network.state_dict())
    # float16 converts to float32 exactly.
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


def _read(path: Path) -> dict:
    if not path.is_file():
        raise UserError(
            f"There are no DSFD weights at {path}. Put {PUBLIC_FILES} there, or correct the path in "
            "the configuration, or choose the detector yunet, which needs no separate weights."
        )
    try:
        verify_archive(path, LARGEST)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds of exceptions for damaged files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path} cannot be read as PyTorch weights ({reason}). The file is probably incomplete, or a web "
            f"page saved under that name. Download it again; the expected file is {PUBLIC_FILES}."
        ) from error


def _check(path: Path, state: object, expected: dict[str, Tensor]) -> None:
    """Raise UserError unless the state has exactly the expected keys and shapes."""
    if not isinstance(state, dict):
        differences = [f"it holds a {type(state).__name__}, not a dictionary"]
        state = {}
    else:
        differences = (
            [f"{key} is missing" for key in expected.keys() - state.keys()]
            + [f"{key} is unknown" for key in state.keys() - expected.keys()]
            + [
                f"{key} is {_describe(key, state[key])} instead of {_describe(key, expected[key])}"
                for key in expected.keys() & state.keys()
                if _describe(key, state[key]) != _describe(key, expected[key])
            ]
        )
    if not differences:
        return
    differences.sort()
    shown = "; ".join(differences[:DIFFERENCES_SHOWN])
    more = len(differences) - DIFFERENCES_SHOWN
    likely = [meaning for start, meaning in LOOK_ALIKES.items() if any(str(k).startswith(start) for k in state)]
    raise UserError(
        f"{path} does not hold the weights of DSFD with a ResNet-152 backbone: {shown}"
        + (f"; and {more} more differences" if more > 0 else "")
        + (f". Probably {likely[0]}" if likely else ". Probably it belongs to another network")
        + f". The expected file is {PUBLIC_FILES}."
    )


def _describe(key: str, value: object) -> str:
    """The shape of a tensor; with its type, too, if it does not hold floating-point numbers, and is no counter."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    shape = "×".join(map(str, value.shape)) or "a single number"
    is_fit = value.layout == torch.strided and (value.is_floating_point() or key.endswith("num_batches_tracked"))
    return shape if is_fit else f"{shape} of {value.dtype} ({value.layout})"
