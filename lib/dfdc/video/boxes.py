"""Boxes in frames: (x1, y1, x2, y2) in pixels of the upright frame."""

from collections.abc import Sequence

Box = tuple[int, int, int, int]


def enlarged(box: Sequence[float], factor: float, width: int, height: int) -> Box:
    """A box enlarged about its centre, truncated to whole pixels, clipped to a frame of width x height.

    The result has at least one pixel, even if a detector placed the box at the edge of the frame or beyond it.
    """
    x1, y1, x2, y2 = map(float, box)
    grow_x, grow_y = (x2 - x1) * (factor - 1) / 2, (y2 - y1) * (factor - 1) / 2
    left, top, right, bottom = int(x1 - grow_x), int(y1 - grow_y), int(x2 + grow_x), int(y2 + grow_y)
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return left, top, max(min(right, width), left + 1), max(min(bottom, height), top + 1)


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes, 0 to 1; 0 if both are empty."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - intersection
    return intersection / union
