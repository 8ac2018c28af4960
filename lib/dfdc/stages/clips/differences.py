"""How much the clips of a pair differ."""

from dataclasses import replace

import cv2
import numpy as np

from dfdc.data.schemas.clips import Clip

SIGNATURE = 16  # cells along each side


def signature(face: np.ndarray) -> np.ndarray:
    """The colours of an RGB uint8 picture on a grid of 16 x 16 cells, each the mean over the cell's area."""
    height, width, _ = face.shape
    if min(height, width) >= SIGNATURE:
        # Cells of whole pixels: the mean over these is several times as fast. Less than a pixel a cell is left out.
        face = face[: height // SIGNATURE * SIGNATURE, : width // SIGNATURE * SIGNATURE]
    return cv2.resize(face, (SIGNATURE, SIGNATURE), interpolation=cv2.INTER_AREA)


def difference(signatures: np.ndarray, others: np.ndarray) -> float | None:
    """How much two clips differ: the mean absolute difference, 0 to 255, of the signatures of their common frames.

    Clips of equal frames give exactly 0; None if there is no common frame.
    """
    common = min(len(signatures), len(others))
    if common == 0:
        return None
    return float(np.abs(signatures[:common].astype(np.int16) - others[:common]).mean())


class Comparison:
    """Notes how much fakes differ from their twins, keeping no more than the clips whose fake is to come.

    Those are the clips of one real video, on which its fakes follow.
    """

    def __init__(self) -> None:
        """No clip was seen yet."""
        self._waiting: dict[tuple, np.ndarray] = {}

    def __call__(self, clip: Clip, signatures: np.ndarray) -> Clip:
        """Take the next clip, a fake one after the real one of its pair; give it back, a fake with its difference."""
        if clip.label == "REAL":
            self._waiting[clip_key(clip)] = signatures
            return clip
        return replace(clip, difference=difference(signatures, self._waiting.pop(clip_key(clip))))


def clip_key(clip: Clip) -> tuple:
    """What the two clips of a pair have in common."""
    return clip.part, clip.real, clip.fake, clip.real_track, clip.fake_track, clip.first_frame, tuple(clip.box)
