"""Clips with faces of the size typical for DFDC's 1080p videos, for benchmarks of data loading.

They show the people of the demo whose pictures are large enough, with camera motion and sensor noise, and are encoded
with H.264 once, like the videos that clips are cut from.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from dfdc.data.seeding import generator
from dfdc.demo.encoding import write_video
from dfdc.demo.fakes import draw_recipe, fake_frames
from dfdc.demo.motion import Shot
from dfdc.demo.people import Footage, Take, load_footage, transform
from dfdc.demo.sources import fetch_sources
from dfdc.video.reading import open_video, read_frames

FRAMES = 50
FPS = 30.0
CRF = 20  # of the videos that the clips are cut from
# Widths and heights of the boxes: small and large faces, odd and even sides.
SIZES = ((207, 251), (318, 401), (242, 300), (285, 349), (226, 277), (300, 375))
TAKES = (
    Take("woman", ("woman",), 0, FRAMES),
    Take("portrait-1", ("portrait-1",)),
    Take("man", ("man",), 0, FRAMES),
    Take("president", ("obama",)),
    Take("portrait-4", ("portrait-4",)),
    Take("hiker", ("hiker",)),
)

Clip = list[np.ndarray]


def make_pairs(count: int, seed: int = 0) -> Iterator[tuple[Clip, Clip]]:
    """Yield pairs of clips of 50 RGB uint8 frames: a real face and its fake, of the same size."""
    return (make_pair(number, seed) for number in range(count))


def make_pair(number: int, seed: int = 0) -> tuple[Clip, Clip]:
    """One of these pairs."""
    rng = generator(seed, "benchmark face", number)
    footage = load_footage(TAKES[number % len(TAKES)], _sources())
    size = SIZES[number % len(SIZES)]
    shot = _film(footage, size, rng)
    fake = fake_frames(shot, [None], [draw_recipe("self-blend", rng)], rng)
    return _from_video(shot.frames, size), _from_video(fake, size)


@cache
def _sources() -> dict[str, Path]:
    return fetch_sources()


def _film(footage: Footage, size: tuple[int, int], rng: np.random.Generator) -> Shot:
    """Frames of the given size, rounded up to even sides, framed around the face like clips."""
    size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    low, high = footage.landmarks[0, 0].min(0), footage.landmarks[0, 0].max(0)
    spread = float((high - low).max())
    middle = (low + high) / 2
    frames, landmarks = [], []
    phase = rng.uniform(0, 2 * np.pi, 4)
    for index in range(FRAMES):
        step = index % len(footage.frames)
        sway = np.sin(2 * np.pi * index / 30 * np.array((0.5, 0.4, 0.3, 0.2)) + phase)
        scale = size[0] / (3.0 * spread) * (1 + 0.02 * sway[2])
        matrix = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), 1.5 * float(sway[3]), scale)
        matrix[:, 2] += np.array(size) / 2 - middle + sway[:2] * 0.03 * np.array(size)
        view = cv2.warpAffine(footage.frames[step], matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        noisy = view + rng.normal(0, 2.0, view.shape)
        frames.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
        landmarks.append(transform(footage.landmarks[step], matrix))
    return Shot(frames, np.stack(landmarks), FPS)


def _from_video(frames: Iterable[np.ndarray], size: tuple[int, int]) -> Clip:
    """The frames after H.264 encoding and decoding, cropped to a size."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        write_video(path, frames, FPS, np.zeros(0, np.float32), CRF)
        return [frame[: size[1], : size[0]].copy() for _, frame in read_frames(open_video(path))]
