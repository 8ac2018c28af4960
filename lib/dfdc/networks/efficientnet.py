"""The family of EfficientNets (see ``families``), for single frames and for short sequences of frames.

A "frame" network classifies each image by itself. A "sequence" network is the same network with temporal expand
convolutions in its blocks, which also take the two adjacent frames, so that the network sees motion; all other layers
treat the frames as a batch (EfficientNet: Tan and Le, 2019, arXiv:1905.11946; inflation of kernels over time: Carreira
and Zisserman, 2017, arXiv:1705.07750, section 2.3).

Inputs are RGB images normalised with ImageNet's mean and standard deviation, for all architectures. The published
EfficientNet-Lite0 was trained with (x - 127) / 128 instead; the two differ by a scale of about 0.9 and a small shift,
to which fine-tuning adapts, so that one normalisation is used for all.
"""

from collections.abc import Mapping

import torch
from efficientnet_pytorch import EfficientNet
from efficientnet_pytorch.utils import BlockArgs, Conv2dStaticSamePadding, GlobalParams, get_model_params
from torch import Tensor, nn
from torch.nn import functional

from dfdc.networks.inputs import IMAGENET, Normalisation
from dfdc.networks.settings import ModelKind
from dfdc.networks.weights.timm import from_timm, is_timm

LITE0 = "efficientnet-lite0"
_EXPAND = "._expand_conv."


class TemporalExpansion(nn.Module):
    """An expand convolution with a 3 × 1 × 1 kernel (three adjacent frames, one pixel).

    Input and output are (clips × frames, channels, height, width), the frames of a clip adjacent and in order.
    Clips are zero-padded in time.
    """

    def __init__(self, in_channels: int, out_channels: int, frames: int) -> None:
        """Create the layer for clips of ``frames`` frames, with random weights."""
        super().__init__()
        self.frames = frames
        self.conv = nn.Conv3d(in_channels, out_channels, (3, 1, 1), padding=(1, 0, 0), bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Convolve; the output has the input's height and width."""
        count, channels, height, width = frames.shape
        # A clip in channels_last layout can be viewed as a single image whose rows are frames and whose columns are
        # pixels. A 2D convolution over this view is equivalent and, on a CPU, a fifth faster.
        pixels = frames.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
        tall = pixels.reshape(count // self.frames, self.frames, height * width, channels).permute(0, 3, 1, 2)
        out = functional.conv2d(tall, self.conv.weight.squeeze(-1), padding=(1, 0))
        return out.permute(0, 2, 3, 1).reshape(count, height, width, -1).permute(0, 3, 1, 2)


class Classifier(EfficientNet):
    """An EfficientNet with one output, with padding for a fixed image size. Created by ``build_model``."""

    def __init__(
        self,
        blocks_args: list[BlockArgs],
        global_params: GlobalParams,
        activation: nn.Module,
        frames_per_clip: int | None,
    ) -> None:
        """Create the network; if ``frames_per_clip`` is not None, its expand convolutions are temporal."""
        super().__init__(blocks_args, global_params)
        self.image_size = tuple(global_params.image_size)
        self.frames_per_clip = frames_per_clip
        for part in (self, *self._blocks):
            part._swish = activation
        for layer in self.modules():
            if isinstance(layer, Conv2dStaticSamePadding):
                _fold_padding(layer)
        # Convolutions are as fast or faster in channels_last (a training step on two CPU cores takes down to two
        # thirds of the time). It only applies to four-dimensional weights.
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

        Raises ValueError if the images do not have the size that the network was built for, since the padding would
        silently be wrong, or if N is not a multiple of the frames per clip.
        """
        if tuple(images.shape[2:]) != self.image_size:
            raise ValueError(f"images of size {tuple(images.shape[2:])}, but the network is for {self.image_size}")
        if len(images) % (self.frames_per_clip or 1):
            raise ValueError(f"{len(images)} frames is not a multiple of {self.frames_per_clip} frames per clip")
        return super().forward(images.contiguous(memory_format=torch.channels_last))


def _fold_padding(layer: Conv2dStaticSamePadding) -> None:
    """Let a convolution pad its input itself, if the padding is symmetric: no copy of the input is made."""
    if isinstance(layer.static_padding, nn.ZeroPad2d):
        left, right, top, bottom = layer.static_padding.padding
        if left == right and top == bottom:
            layer.padding, layer.static_padding = (top, left), nn.Identity()


def build(architecture: str, kind: ModelKind, image_size: tuple[int, int], sequence_length: int) -> Classifier:
    """Build a network; see ``families.build_model``.

    The padding of every layer is TensorFlow's SAME at this image size. (By default, efficientnet-pytorch pads for the
    size in the paper, 600 pixels for B7, which is wrong in some layers at other sizes and changes the outputs of the
    published weights.)
    """
    lite = architecture == LITE0
    settings = {"image_size": tuple(image_size), "num_classes": 1}
    blocks, settings = get_model_params("efficientnet-b0" if lite else architecture, settings)
    if lite:
        blocks = [block._replace(se_ratio=None) for block in blocks]
    # torch's SiLU saves only its input for the backward pass, like the library's memory-efficient swish, and a training
    # step on a CPU takes four fifths of the time.
    activation = nn.ReLU6(inplace=True) if lite else nn.SiLU()
    return Classifier(blocks, settings, activation, sequence_length if kind == "sequence" else None)


def head(architecture: str) -> tuple[str, ...]:
    """How the names of the last layer's parameters begin."""
    return ("_fc.",)


def normalisation(architecture: str) -> Normalisation:
    """ImageNet's, for all."""
    return IMAGENET


def named(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Tensors from a file, with efficientnet-pytorch's names: those of timm are renamed."""
    return from_timm(state) if is_timm(state) else state


def inflate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inflate the weights of a frame network to those of a sequence network.

    Each expand kernel is divided by three and repeated three times along the time axis: for a clip of identical frames,
    the sequence network then computes the same as the frame network, except at both ends of the clip.
    """
    inflated = {}
    for name, value in state.items():
        if _EXPAND in name:
            name, value = _temporal_name(name), (value / 3)[:, :, None].repeat(1, 1, 3, 1, 1)
        inflated[name] = value
    return inflated


def _temporal_name(name: str) -> str:
    return name.replace(_EXPAND, f"{_EXPAND}conv.")
