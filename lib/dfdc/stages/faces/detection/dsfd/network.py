"""The DSFD network: "DSFD: Dual Shot Face Detector" (Li et al., CVPR 2019), with a ResNet-152 backbone.

Only the second shot is implemented: the first is used only to train the detector. Modules are named as in the public
weights.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfdc.stages.faces.detection.dsfd.boxes import decode, prior_boxes

SOURCE_CHANNELS = (256, 512, 1024, 2048, 512, 256)
OFFSET_CHANNELS = (4, 8, 12, 12, 12, 12)
CONFIDENCE_CHANNELS = (4, 6, 8, 8, 8, 8)


class DSFD(nn.Module):
    """The detector's network, for inference: images in, boxes and scores out."""

    def __init__(self) -> None:
        """Build the layers with PyTorch's default initialisation; weights must be loaded before use."""
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
            _stage(64, 64, blocks=3, stride=1),
        )
        self.layer2 = nn.Sequential(_stage(256, 128, blocks=8, stride=2))
        self.layer3 = nn.Sequential(_stage(512, 256, blocks=36, stride=2))
        self.layer4 = nn.Sequential(_stage(1024, 512, blocks=3, stride=2))
        self.layer5 = _halving(2048, 512, 512)
        self.layer6 = _halving(512, 128, 256)

        self.latlayer3 = nn.Conv2d(2048, 1024, 1)
        self.latlayer2 = nn.Conv2d(1024, 512, 1)
        self.latlayer1 = nn.Conv2d(512, 256, 1)
        self.smooth3 = nn.Conv2d(1024, 1024, 1)
        self.smooth2 = nn.Conv2d(512, 512, 1)
        self.smooth1 = nn.Conv2d(256, 256, 1)

        self.cpm3_3, self.cpm4_3, self.cpm5_3, self.cpm7, self.cpm6_2, self.cpm7_2 = (
            _FeatureEnhancement(channels) for channels in SOURCE_CHANNELS
        )
        self.loc = nn.ModuleList(_Head(channels) for channels in OFFSET_CHANNELS)
        self.conf = nn.ModuleList(_Head(channels) for channels in CONFIDENCE_CHANNELS)

    def forward(self, images: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
        """Find all cells with a face.

        Takes B x 3 x H x W images, BGR in 0-255 with the mean subtracted, in the type of the weights. Returns three
        tensors with a row for each cell whose score is above the threshold, unordered and without non-maximum
        suppression: the image's index (N), the box x1, y1, x2, y2 relative to W and H (N x 4, float32) and the score
        (N, float32, 0-1).
        Raises FloatingPointError if a confidence or a box is not finite.
        """
        height, width = images.shape[-2:]
        found = []
        for level, feature in enumerate(self.features(images)):
            confidence = self.conf[level](feature)
            _require_finite(confidence)  # NaN is never above the threshold and would look like "no face"
            score = face_score(confidence, level)
            image, row, column = torch.nonzero(score > threshold, as_tuple=True)
            # The box head takes a fifth of the time, and most images have no faces at most levels, so it runs only on
            # images with a face.
            with_face, position = image.unique(return_inverse=True)
            if len(with_face) == 0:
                continue
            offsets = self.loc[level](feature[with_face])[position, :4, row, column].float()
            boxes = decode(offsets, prior_boxes(level, row, column, height, width))
            _require_finite(boxes)
            found.append((image, boxes, score[image, row, column]))
        if not found:
            return (
                torch.empty(0, dtype=torch.long, device=images.device),
                torch.empty(0, 4, device=images.device),
                torch.empty(0, device=images.device),
            )
        image, boxes, score = zip(*found, strict=True)
        return torch.cat(image), torch.cat(boxes), torch.cat(score)

    def features(self, images: Tensor) -> list[Tensor]:
        """The enhanced features of the six levels, for images as in ``forward``.

        Each is B x 512 x ceil(H / stride) x ceil(W / stride), with strides 4, 8, 16, 32, 64 and 128.
        """
        source1 = self.layer1(images)
        source2 = self.layer2(source1)
        source3 = self.layer3(source2)
        source4 = self.layer4(source3)
        source5 = self.layer5(source4)
        source6 = self.layer6(source5)

        # Each pyramid level is computed from the one above it.
        merged3 = _merge(self.latlayer3(source4), self.smooth3(source3))
        merged2 = _merge(self.latlayer2(merged3), self.smooth2(source2))
        merged1 = _merge(self.latlayer1(merged2), self.smooth1(source1))

        return [
            self.cpm3_3(merged1),
            self.cpm4_3(merged2),
            self.cpm5_3(merged3),
            self.cpm7(source4),
            self.cpm6_2(source5),
            self.cpm7_2(source6),
        ]


def face_score(confidence: Tensor, level: int) -> Tensor:
    """The probability (float32, 0-1, B x h x w) of a face in each cell, from a level's confidence maps.

    Four of the maps (B x 4 or more x h x w) are used: the maximum of three is the logit of one class (max-out), the
    fourth that of the other. The three are for the background at the finest level, where false positives are frequent,
    and for the face at the other levels.
    """
    maximum, single = confidence[:, :3].float().amax(dim=1), confidence[:, 3].float()
    margin = single - maximum if level == 0 else maximum - single
    return torch.sigmoid(margin)  # the softmax over two values


def _require_finite(values: Tensor) -> None:
    if not torch.isfinite(values).all():
        raise FloatingPointError("the face detector's output is not finite")


class _Bottleneck(nn.Module):
    """The residual block of ResNet-50 and deeper (He et al. 2016), with the stride in the 3x3 convolution."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        channels_out = 4 * channels
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.downsample = None
        if channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        return F.relu(self.bn3(self.conv3(x)) + shortcut, inplace=True)


def _stage(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = _Bottleneck(channels_in, channels, stride)
    return nn.Sequential(first, *(_Bottleneck(4 * channels, channels, stride=1) for _ in range(blocks - 1)))


def _halving(channels_in: int, channels: int, channels_out: int) -> nn.Sequential:
    """An extra layer on top of the backbone: reduces the channels, then halves the resolution."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels_out, 3, stride=2, padding=1),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _merge(upper: Tensor, lower: Tensor) -> Tensor:
    """The upper map, upsampled to the size of the lower one, times the lower one."""
    return F.interpolate(upper, size=lower.shape[-2:], mode="bilinear", align_corners=False) * lower


class _FeatureEnhancement(nn.Module):
    """The feature enhance module (Li et al., section 3.2): three parallel branches with growing receptive fields."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cpm1 = nn.Conv2d(channels, 256, 3, padding=1)
        self.cpm2 = nn.Conv2d(channels, 256, 3, padding=2, dilation=2)
        self.cpm3 = nn.Conv2d(256, 128, 3, padding=1)
        self.cpm4 = nn.Conv2d(256, 128, 3, padding=2, dilation=2)
        self.cpm5 = nn.Conv2d(128, 128, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        near = F.relu(self.cpm1(x), inplace=True)
        wide = F.relu(self.cpm2(x), inplace=True)
        middle = F.relu(self.cpm3(wide), inplace=True)
        far = F.relu(self.cpm5(F.relu(self.cpm4(wide), inplace=True)), inplace=True)
        return torch.cat((near, middle, far), dim=1)


class _Head(nn.Module):
    """Four convolutions from the enhanced features to the offsets or the confidences of one level."""

    def __init__(self, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(512, 256, 3, padding=1)
        self.conv2 = nn.Conv2d(256, 256, 3, padding=1)
        self.conv3 = nn.Conv2d(256, 256, 3, padding=1)
        self.conv4 = nn.Conv2d(256, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.relu(conv(x), inplace=True)
        return self.conv4(x)
