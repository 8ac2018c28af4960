"""From frames to what detectors look at: resized pictures, and the scale that leads back."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Resized:
    """A frame at a detector's size, and how many of its pixels one pixel of the frame became, in x and y."""

    image: np.ndarray
    scale: tuple[float, float]


def resize_to_area(frame: np.ndarray, size: int) -> Resized:
    """Resize to an area of ``size`` x ``size`` pixels, keeping the shape: how DSFD sees training parts."""
    height, width = frame.shape[:2]
    factor = (size * size / (height * width)) ** 0.5
    # The factor is given, not the rounded sides: it is what the pixels are averaged with.
    image = cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return Resized(image, (factor, factor))


def resize_to_longer_side(frame: np.ndarray, size: int) -> Resized:
    """Resize until the longer side is ``size`` pixels, keeping the shape: how DSFD sees test videos."""
    return _resize(frame, size / max(frame.shape[:2]), cv2.INTER_LINEAR)


def shrink_to_longer_side(frame: np.ndarray, size: int) -> Resized:
    """Shrink until the longer side is ``size`` pixels, if it is longer, keeping the shape: how YuNet sees frames."""
    factor = size / max(frame.shape[:2])
    return _resize(frame, factor, cv2.INTER_AREA) if factor < 1 else Resized(frame, (1.0, 1.0))


def _resize(frame: np.ndarray, factor: float, interpolation: int) -> Resized:
    height, width = frame.shape[:2]
    sides = (max(1, round(width * factor)), max(1, round(height * factor)))
    return Resized(cv2.resize(frame, sides, interpolation=interpolation), (sides[0] / width, sides[1] / height))


@dataclass(frozen=True)
class Resize:
    """One of the functions above with its size. It can be sent to other processes, as a detector cannot."""

    rule: Callable[[np.ndarray, int], Resized]
    size: int

    def __call__(self, frame: np.ndarray) -> Resized:
        """Resize an RGB uint8 frame of height x width x 3."""
        return self.rule(frame, self.size)
