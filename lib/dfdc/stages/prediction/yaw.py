"""The yaw of faces at a model's input size: how far they are turned to the side."""

from collections.abc import Iterable

import cv2
import numpy as np

from dfdc.stages.faces.detection.yunet import YuNetDetector

# The crops of the published models have this longer side. A crop is known to show a face, so a doubtful one counts.
LONGER_SIDE, THRESHOLD = 224, 0.5


def landmark_detector() -> YuNetDetector:
    """What ``yaw`` needs, whichever detector found the faces. Raises UserError if YuNet's weights are missing."""
    return YuNetDetector(None, LONGER_SIDE, THRESHOLD)


def yaw(pictures: Iterable[np.ndarray], detector: YuNetDetector) -> np.ndarray:
    """How far the face in the middle of each RGB uint8 picture is turned to the left or right.

    This is how far the tip of the nose is from the point midway between the eyes, along the line through them, in
    distances between the eyes: about 0 from the front, 0.5 if the nose is below an eye, more in profile; NaN if no face
    is found. It depends neither on size nor on roll. Mirrored pictures are as far turned: a picture and its mirror
    image are measured and averaged, which also makes the measure less noisy.
    """
    return np.array([_yaw(picture, detector) for picture in pictures], np.float64)


def _yaw(picture: np.ndarray, detector: YuNetDetector) -> float:
    small = detector.prepare(picture).image
    one, mirrored = (nose_offset(_landmarks(side, detector)) for side in (small, cv2.flip(small, 1)))
    return abs(one - mirrored) / 2


def _landmarks(picture: np.ndarray, detector: YuNetDetector) -> np.ndarray:
    """x and y of the five landmarks of the face nearest to the middle of a picture; NaN if there are no faces."""
    faces = detector.run(picture)[:, 4:14].reshape(-1, 5, 2)
    if not len(faces):
        return np.full((5, 2), np.nan)
    middle = np.array(picture.shape[1::-1]) / 2
    return faces[np.argmin(np.linalg.norm(faces.mean(axis=1) - middle, axis=1))]


def nose_offset(landmarks: np.ndarray) -> float:
    """How far the nose is from midway between the eyes, towards the second eye, in distances between the eyes.

    ``landmarks``, N x 2, begin with the eyes and the nose. NaN if the eyes coincide.
    """
    eye, other, nose = landmarks[:3].astype(np.float64)
    across = other - eye
    square = float(across @ across)
    return float((nose - (eye + other) / 2) @ across) / square if square else float("nan")
