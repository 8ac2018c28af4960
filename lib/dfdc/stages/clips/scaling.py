"""Crops of a video whose frames are first scaled to another size."""

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from dfdc.video.boxes import Box
from dfdc.video.reading import OpenVideo, read_frames


def read_scaled_crops(
    video: OpenVideo, boxes: Mapping[int, Sequence[Box]], size: tuple[int, int], counted: int | None = None
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Like ``read_crops`` of a video that was scaled to ``size`` (width, height), to which the boxes refer.

    Whole frames are scaled, so that a crop is neither moved nor stretched by the rounding of its box: bilinear if they
    become larger, else by the mean over the area of a pixel.
    """
    for index, frame in read_frames(video, boxes.__contains__, max(boxes, default=-1) + 1, counted):
        shrinks = size[0] * size[1] < frame.shape[0] * frame.shape[1]
        scaled = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        yield index, [np.ascontiguousarray(scaled[top:bottom, left:right]) for left, top, right, bottom in boxes[index]]
