"""The sharpness of faces at a model's input size."""

from collections.abc import Iterable

import cv2
import numpy as np


def sharpness(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """The variance of the Laplacian of each RGB uint8 picture, in grey: small if it is blurred, 0 if it is even.

    It depends on the size: pictures that are compared are to be as a network sees them.
    """
    grey = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures)
    return np.array([cv2.Laplacian(picture, cv2.CV_64F).var() for picture in grey])
