"""From the cells of the network's output maps to boxes: priors, decoding, non-maximum suppression."""

import numpy as np
import torch
from torch import Tensor

STRIDES = (4, 8, 16, 32, 64, 128)
PRIOR_SIZES = (16, 32, 64, 128, 256, 512)
PRIOR_ASPECT = 1.5  # height / width of a face
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
MAX_CANDIDATES = 5_000
MAX_IOU = 0.3


def prior_boxes(level: int, row: Tensor, column: Tensor, height: int, width: int) -> Tensor:
    """The priors of some cells of a level, N x 4 float32: centre x, centre y, width, height.

    ``row`` and ``column`` are N integers each; ``height`` and ``width`` are those of the network's input in
    pixels, and the priors are relative to them, clipped to 0-1. Priors are computed only for cells with a face, so no
    table of tens of thousands of cells is needed.
    """
    stride, size = STRIDES[level], PRIOR_SIZES[level]
    x = (column.float() + 0.5) * (stride / width)
    y = (row.float() + 0.5) * (stride / height)
    prior_width = torch.full_like(x, size / PRIOR_ASPECT**0.5 / width)
    prior_height = torch.full_like(y, size * PRIOR_ASPECT**0.5 / height)
    return torch.stack((x, y, prior_width, prior_height), dim=1).clamp(0, 1)


def decode(offsets: Tensor, priors: Tensor) -> Tensor:
    """Boxes x1, y1, x2, y2 from offsets and priors, each N x 4, in the priors' unit.

    The encoding of "SSD: Single Shot MultiBox Detector" (Liu et al. 2016), section 2.2, with its variances.
    """
    centre = priors[:, :2] + offsets[:, :2] * CENTRE_VARIANCE * priors[:, 2:]
    size = priors[:, 2:] * torch.exp(offsets[:, 2:] * SIZE_VARIANCE)
    return torch.cat((centre - size / 2, centre + size / 2), dim=1)


def suppress(faces: np.ndarray) -> np.ndarray:
    """Greedy non-maximum suppression; returns the kept boxes, best first.

    Input and output are N x 5 rows of x1, y1, x2, y2, score. Only the best 5,000 boxes are considered. In order of
    descending score, a box suppresses all later ones with an IoU above 0.3. Ties are broken by row order.
    """
    rest = faces[np.argsort(-faces[:, 4], kind="stable")[:MAX_CANDIDATES]]
    kept = []
    while len(rest):
        kept.append(rest[0])
        # "Not above" instead of "at most": the IoU of boxes without area is NaN, and they suppress none.
        rest = rest[1:][~(_iou(rest[0], rest[1:]) > MAX_IOU)]
    return np.stack(kept) if kept else faces[:0]


def _iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of one box with N others."""
    sides = np.minimum(box[2:4], others[:, 2:4]) - np.maximum(box[:2], others[:, :2])
    intersection = sides.clip(min=0).prod(axis=1)
    union = _area(box[None]) + _area(others) - intersection
    with np.errstate(invalid="ignore", divide="ignore"):
        return intersection / union


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
