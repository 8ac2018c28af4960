"""The networks: EfficientNets with one output, for single frames and for short sequences of frames.

A network of kind "frame" judges each picture by itself. One of kind "sequence" is the same network with the
expand convolutions of its blocks made temporal: each looks at a frame and its two neighbours in time, so the
network sees motion, while everything else treats the frames as a batch (EfficientNet: Tan and Le, 2019,
arXiv:1905.11946; temporal kernels started from a mean over time: Carreira and Zisserman, 2017,
arXiv:1705.07750, section 2.3).

Pictures go in as RGB with ImageNet's mean and standard deviation taken out, whatever the architecture. The
published EfficientNet-Lite0 was trained with (x - 127) / 128 instead; the two differ by a scale of about 0.9
and a small shift, which fine-tuning takes in its stride, and one preprocessing for all is worth more.
"""

import functools
from collections.abc import Mapping
from typing import get_args

import torch
from efficientnet_pytorch import EfficientNet
from efficientnet_pytorch.utils import BlockArgs, GlobalParams, get_model_params
from torch import Tensor, nn
from torch.nn import functional

from dfdc.networks.settings import Architecture, ModelKind
from dfdc.system.errors import UserError

KINDS = get_args(ModelKind)
LITE0 = "efficientnet-lite0"
ARCHITECTURES = get_args(Architecture)

HEAD = "_fc."
"""What the names of the last layer's parameters start with."""

_EXPAND = "._expand_conv."


class TemporalExpansion(nn.Module):
    """An expand convolution over three neighbouring frames, one pixel each.

    Takes and gives (clips × frames, channels, height, width), the frames of a clip adjacent and in order.
    Beyond the ends of a clip there are zeros.
    """

    def __init__(self, in_channels: int, out_channels: int, frames: int) -> None:
        """Make the layer for clips of ``frames`` frames, with random weights."""
        super().__init__()
        self.frames = frames
        self.conv = nn.Conv3d(in_channels, out_channels, (3, 1, 1), padding=(1, 0, 0), bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Convolve; the output has the input's height and width."""
        count, channels, height, width = frames.shape
        # Of a clip in channels_last order, frames can be taken for the rows and pixels for the columns of one tall
        # picture without moving anything. A 2D convolution over that is the same and, on a CPU, a fifth faster.
        pixels = frames.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
        tall = pixels.reshape(count // self.frames, self.frames, height * width, channels).permute(0, 3, 1, 2)
        out = functional.conv2d(tall, self.conv.weight.squeeze(-1), padding=(1, 0))
        return out.permute(0, 2, 3, 1).reshape(count, height, width, -1).permute(0, 3, 1, 2)


class Classifier(EfficientNet):
    """An EfficientNet with one output, padded for one size of image. Made by ``build_model``."""

    def __init__(
        self,
        blocks_args: list[BlockArgs],
        global_params: GlobalParams,
        activation: nn.Module,
        frames_per_clip: int | None,
    ) -> None:
        """Make the network; with ``frames_per_clip`` its expand convolutions are temporal."""
        super().__init__(blocks_args, global_params)
        self.image_size = tuple(global_params.image_size)
        self.frames_per_clip = frames_per_clip
        for part in (self, *self._blocks):
            part._swish = activation
        # With a pixel's channels side by side the convolutions are as fast or faster (a training step on two
        # CPU cores takes down to two thirds). Only four-dimensional weights can be laid out so.
        self.to(memory_format=torch.channels_last)
        if frames_per_clip is not None:
            self._make_temporal(frames_per_clip)

    def _make_temporal(self, frames: int) -> None:
        for block in self._blocks:
            if hasattr(block, "_expand_conv"):
                flat = block._expand_conv
                block._expand_conv = TemporalExpansion(flat.in_channels, flat.out_channels, frames)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 1) of normalised images (N, 3, height, width); a positive logit means fake.

        Raises ValueError if the images are not of the size that the network was built for, since the padding
        would silently be wrong, or if they are not whole clips.
        """
        if tuple(images.shape[2:]) != self.image_size:
            raise ValueError(f"images of {tuple(images.shape[2:])}, the network is for {self.image_size}")
        if len(images) % (self.frames_per_clip or 1):
            raise ValueError(f"{len(images)} frames are not whole clips of {self.frames_per_clip} frames")
        return super().forward(images.contiguous(memory_format=torch.channels_last))


def build_model(
    architecture: str, kind: ModelKind, image_size: tuple[int, int], sequence_length: int = 7
) -> Classifier:
    """Build a network with random weights (from torch's global generator), in training mode.

    ``architecture`` is one of ``ARCHITECTURES``, ``image_size`` the (height, width) in pixels of the images
    it will see. A sequence network takes ``sequence_length`` frames a clip: its input holds clips ×
    sequence_length frames, those of a clip adjacent and in order, and every frame has its own output.

    The padding is what TensorFlow's SAME is at this image size, in every layer. (Left to itself,
    efficientnet-pytorch pads for the size in the paper, 600 pixels for B7, which at other sizes is wrong in
    some layers; the published weights then give other numbers.)

    Raises UserError for an unknown architecture or kind.
    """
    if architecture not in ARCHITECTURES:
        raise UserError(f"unknown architecture {architecture!r}; choose one of {', '.join(ARCHITECTURES)}")
    if kind not in KINDS:
        raise UserError(f"unknown kind of model {kind!r}; choose one of {', '.join(KINDS)}")
    lite = architecture == LITE0
    settings = {"image_size": tuple(image_size), "num_classes": 1}
    blocks, settings = get_model_params("efficientnet-b0" if lite else architecture, settings)
    if lite:
        blocks = [block._replace(se_ratio=None) for block in blocks]
    # Torch's own swish keeps its input alone for the backward pass, as the library's memory-efficient one
    # does, and a training step on a CPU takes four fifths of the time.
    activation = nn.ReLU6(inplace=True) if lite else nn.SiLU()
    return Classifier(blocks, settings, activation, sequence_length if kind == "sequence" else None)


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of the last layer, the only ones that the warm-up trains."""
    return [parameter for name, parameter in model.named_parameters() if name.startswith(HEAD)]


def inflate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a frame network as those of a sequence network.

    Each expand kernel becomes three temporal slices, each a third of it: on a clip whose frames are all the
    same the sequence network then sees what the frame network sees, except at the clip's two ends.
    """
    inflated = {}
    for name, value in state.items():
        if _EXPAND in name:
            name, value = _temporal_name(name), (value / 3)[:, :, None].repeat(1, 1, 3, 1, 1)
        inflated[name] = value
    return inflated


def load_backbone(model: Classifier, state: Mapping[str, Tensor]) -> None:
    """Put pretrained weights of a frame network without its last layer into a network of either kind.

    ``state`` is what ``dfdc.networks.weights.load.load_pretrained`` gives. The last layer stays as it is. Raises
    RuntimeError if names or shapes do not match.
    """
    head = {name: value for name, value in model.state_dict().items() if name.startswith(HEAD)}
    backbone = state if model.frames_per_clip is None else inflate(state)
    model.load_state_dict({**backbone, **head})


@functools.cache
def state_shapes(architecture: str, kind: ModelKind) -> dict[str, tuple[int, ...]]:
    """Every name in a network's state and its shape, in order; no weights are made."""
    with torch.device("meta"):
        model = build_model(architecture, kind, (224, 224))
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _temporal_name(name: str) -> str:
    return name.replace(_EXPAND, f"{_EXPAND}conv.")
