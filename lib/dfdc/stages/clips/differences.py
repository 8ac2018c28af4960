"""The difference between the two clips of a pair."""

from dataclasses import replace

import cv2
import numpy as np

from dfdc.data.schemas.clips import Clip

SIGNATURE = 16  # cells along each side


def signature(face: np.ndarray) -> np.ndarray:
    """An RGB uint8 picture averaged over a grid of 16 x 16 cells."""
    height, width, _ = face.shape
    if min(height, width) >= SIGNATURE:
        # Cells of whole pixels are several times faster to average; less than a pixel per cell is cropped.
        face = face[: height // SIGNATURE * SIGNATURE, : width // SIGNATURE * SIGNATURE]
    return cv2.resize(face, (SIGNATURE, SIGNATURE), interpolation=cv2.INTER_AREA)


def difference(signatures: np.ndarray, others: np.ndarray) -> float | None:
    """The mean absolute difference, 0 to 255, between the signatures of two clips over their common frames.

    Exactly 0 for identical frames; None if there are no common frames.
    """
    common = min(len(signatures), len(others))
    if common == 0:
        return None
    return float(np.abs(signatures[:common].astype(np.int16) - others[:common]).mean())


class Comparison:
    """Computes the difference of each fake clip from its real clip.

    Keeps in memory only the signatures of real clips whose fakes are still to come: the clips of one real video.
    """

    def __init__(self) -> None:
        """Start without any clips."""
        self._waiting: dict[tuple, np.ndarray] = {}

    def __call__(self, clip: Clip, signatures: np.ndarray) -> Clip:
        """Process the next clip (fake clips after their real clip); returns it, with its difference if it is a fake."""
        if clip.label == "REAL":
            self._waiting[clip_key(clip)] = signatures
            return clip
        return replace(clip, difference=difference(signatures, self._waiting.pop(clip_key(clip))))


def clip_key(clip: Clip) -> tuple:
    """The key shared by the two clips of a pair."""
    return clip.part, clip.real, clip.fake, clip.real_track, clip.fake_track, clip.first_frame, tuple(clip.box)
