"""Resizing frames for detectors, keeping the scale for mapping boxes back."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Resized:
    """A resized frame, and its scale in x and y relative to the original."""

    image: np.ndarray
    scale: tuple[float, float]


def resize_to_area(frame: np.ndarray, size: int) -> Resized:
    """Resize to an area of ``size`` x ``size`` pixels, keeping the aspect ratio; used by DSFD for training parts."""
    height, width = frame.shape[:2]
    factor = (size * size / (height * width)) ** 0.5
    # The factor is passed instead of the rounded sides, because it sets the averaging area.
    image = cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return Resized(image, (factor, factor))


def resize_to_longer_side(frame: np.ndarray, size: int) -> Resized:
    """Resize to a longer side of ``size`` pixels, keeping the aspect ratio; used by DSFD for test videos."""
    return _resize(frame, size / max(frame.shape[:2]), cv2.INTER_LINEAR)


def shrink_to_longer_side(frame: np.ndarray, size: int) -> Resized:
    """Downscale to a longer side of ``size`` pixels if it is longer, keeping the aspect ratio; used by YuNet."""
    factor = size / max(frame.shape[:2])
    return _resize(frame, factor, cv2.INTER_AREA) if factor < 1 else Resized(frame, (1.0, 1.0))


def _resize(frame: np.ndarray, factor: float, interpolation: int) -> Resized:
    height, width = frame.shape[:2]
    sides = (max(1, round(width * factor)), max(1, round(height * factor)))
    return Resized(cv2.resize(frame, sides, interpolation=interpolation), (sides[0] / width, sides[1] / height))


@dataclass(frozen=True)
class Resize:
    """One of the functions above with its size. Unlike a detector, it can be pickled."""

    rule: Callable[[np.ndarray, int], Resized]
    size: int

    def __call__(self, frame: np.ndarray) -> Resized:
        """Resize an RGB uint8 frame of height x width x 3."""
        return self.rule(frame, self.size)
