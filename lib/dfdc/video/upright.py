"""Conversion of decoded frames to upright RGB arrays."""

import struct
from collections.abc import Sequence

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

# FFmpeg converts rows in blocks of at least this many pixels. Converted regions are aligned to these blocks.
STEP = 8


def turns(frame: av.VideoFrame) -> int:
    """The number of anticlockwise quarter turns that make a frame upright, once it is ``mirrored``."""
    # The angle is that of a matrix whose mirroring is not told; to mirror from left to right is half a turn of it.
    return (frame.rotation // 90 + 2 * mirrored(frame)) % 4


def mirrored(frame: av.VideoFrame) -> bool:
    """Whether a frame has to be mirrored from left to right, as videos of front cameras may say."""
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return False
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    return a * d < b * c


def upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """The width and height of a frame after rotation."""
    return (frame.width, frame.height) if turns(frame) % 2 == 0 else (frame.height, frame.width)


class Converter:
    """Converts a video's frames to upright RGB uint8 arrays of the video's size (a stream may change its size midway).

    Raises av.FFmpegError, ValueError or MemoryError on failure.
    """

    def __init__(self) -> None:
        """Create a converter for one video."""
        # One for all frames: creating it, with threads for each core, takes several times as long as converting.
        self._reformatter = VideoReformatter()

    def whole(self, frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
        """A whole frame as an array of height x width x 3; ``width`` and ``height`` are those of the upright video."""
        quarter = turns(frame)
        size = (width, height) if quarter % 2 == 0 else (height, width)
        rgb = self._reformatter.reformat(frame, *size, "rgb24", threads=1).to_ndarray()
        if mirrored(frame):
            rgb = rgb[:, ::-1]
        return np.ascontiguousarray(np.rot90(rgb, quarter))

    def crops(
        self, frame: av.VideoFrame, width: int, height: int, boxes: Sequence[tuple[int, int, int, int]]
    ) -> list[np.ndarray]:
        """The crops of a frame at boxes (x1, y1, x2, y2), clipped to the frame."""
        turned = turns(frame) or mirrored(frame)
        plain = frame.format.name == "yuv420p" and not turned and (frame.width, frame.height) == (width, height)
        if not plain or width % STEP or height % 2:
            picture = self.whole(frame, width, height)
            return [np.ascontiguousarray(picture[y1:y2, x1:x2]) for x1, y1, x2, y2 in boxes]
        return [self._crop(frame, *box) for box in boxes]

    def _crop(self, frame: av.VideoFrame, x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
        """Convert a box, with the least margin for which each pixel equals that of the whole frame."""
        x2, y2 = min(x2, frame.width), min(y2, frame.height)
        left, top = x1 // STEP * STEP, y1 // 2 * 2
        right, bottom = -(-x2 // STEP) * STEP, -(-y2 // 2) * 2
        part = av.VideoFrame(right - left, bottom - top, "yuv420p")
        for plane, target, scale in zip(frame.planes, part.planes, (1, 2, 2), strict=True):
            rows = _rows(plane)[top // scale : bottom // scale, left // scale : right // scale]
            _rows(target)[:, : target.width] = rows
        part.colorspace, part.color_range = frame.colorspace, frame.color_range
        rgb = self._reformatter.reformat(part, format="rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(rgb[y1 - top : y2 - top, x1 - left : x2 - left])


def _rows(plane: VideoPlane) -> np.ndarray:
    """The bytes of a plane, padding included; a view."""
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
