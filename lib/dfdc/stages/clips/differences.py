"""How much the clips of a pair differ."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

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
    """Writes down how much fakes differ from their twins, keeping no more than the clips whose twin is to come.

    Those are the clips of one real video, where its fakes follow on it.
    """

    def __init__(self) -> None:
        """No clip was seen yet."""
        self._waiting: dict[tuple, tuple[dict[str, Any], np.ndarray]] = {}

    def __call__(self, row: dict[str, Any], signatures: np.ndarray) -> None:
        """Take the next clip; ``row`` is its row in the table of clips, in which the difference is written."""
        place = clip_key(row)
        if place not in self._waiting:
            self._waiting[place] = row, signatures
            return
        twin, of_twin = self._waiting.pop(place)
        fake = row if row["label"] == "FAKE" else twin
        fake["difference"] = difference(signatures, of_twin)


def clip_key(clip: Mapping[str, Any]) -> tuple:
    """What the two clips of a pair have in common."""
    tracks = clip["real_track"], clip["fake_track"]
    return clip["part"], clip["real"], clip["fake"], *tracks, clip["first_frame"], tuple(clip["box"])
