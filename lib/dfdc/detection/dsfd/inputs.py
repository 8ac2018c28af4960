"""Making network inputs of frames, and the scale that leads back from one to the other."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

MULTIPLE = 32
MEAN_BGR = (104.0, 117.0, 123.0)


@dataclass(frozen=True)
class Resized:
    """A frame at the network's size, and how many of its pixels one pixel of the frame became, in x and y."""

    image: np.ndarray
    scale: tuple[float, float]


def resize_to_area(frame: np.ndarray, size: int) -> Resized:
    """Resize to an area of ``size`` x ``size`` pixels, keeping the shape: how training parts are detected."""
    height, width = frame.shape[:2]
    factor = (size * size / (height * width)) ** 0.5
    # The factor is given, not the rounded sides: it is what the pixels are averaged with.
    image = cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return Resized(image, (factor, factor))


def resize_to_longer_side(frame: np.ndarray, size: int) -> Resized:
    """Resize until the longer side is ``size`` pixels, keeping the shape: how test videos are detected."""
    height, width = frame.shape[:2]
    factor = size / max(height, width)
    sides = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = cv2.resize(frame, sides, interpolation=cv2.INTER_LINEAR)
    return Resized(image, (sides[0] / width, sides[1] / height))


@dataclass(frozen=True)
class ResizeRule:
    """How frames become network inputs: resized, then padded to a multiple of some pixels."""

    resize: Callable[[np.ndarray, int], Resized]
    multiple: int


RESIZE_RULES = {
    "area": ResizeRule(resize_to_area, multiple=1),
    "longer_side": ResizeRule(resize_to_longer_side, multiple=MULTIPLE),
}


def network_input(images: list[np.ndarray], multiple: int, device: torch.device) -> Tensor:
    """A batch for the network of RGB images of one size: B x 3 x H x W float32, BGR, less the mean.

    It is padded with zeros, the mean colour, at the right and the bottom to a multiple of ``multiple``
    pixels. Its memory is laid out channels last, as the images are.
    """
    height, width = images[0].shape[:2]
    batch = torch.from_numpy(np.stack(images)).to(device)  # a quarter of the bytes of float32 on the way
    bgr = batch.flip(-1).float() - torch.tensor(MEAN_BGR, device=device)
    return F.pad(bgr.permute(0, 3, 1, 2), (0, -width % multiple, 0, -height % multiple))
