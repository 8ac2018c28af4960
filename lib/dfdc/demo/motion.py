"""From a take to a shot: camera motion, changing light and sensor noise, for photos and videos."""

from dataclasses import dataclass

import cv2
import numpy as np

from dfdc.demo.people import Footage, transform

# Width and height in pixels.
SIZES = ((480, 270), (270, 480), (400, 224), (360, 270), (640, 360))
SIZE_ODDS = (0.3, 0.2, 0.2, 0.2, 0.1)
RATES = (29.97, 25.0, 15.0)
RATE_ODDS = (0.5, 0.3, 0.2)
MIN_FRAMES = 52  # tracks shorter than a clip of 50 frames are not used in training
FACE_HEIGHTS = (70.0, 135.0)  # target range, hairline to chin, in pixels of the shot
MAX_FACE_HEIGHT = 155.0
MAX_SPAN = 0.62  # extent of all landmarks, as a fraction of the frame's side
COVER = 1.07  # minimum size of the picture relative to the frame, so that the camera has room to move
SURROUND = 0.6  # width of the extension around a tightly framed photo, in units of its longer side


@dataclass(frozen=True)
class Shot:
    """A rendered shot: RGB uint8 frames, and landmarks, float32 of frames x people x 5 x 2 in pixels."""

    frames: list[np.ndarray]
    landmarks: np.ndarray
    fps: float


def film(footage: Footage, seconds: tuple[float, float], rng: np.random.Generator) -> Shot:
    """Render a take with camera motion, frame size, frame rate, light and noise drawn from ``rng``.

    ``seconds`` is the range of durations; a shot has at least ``MIN_FRAMES`` frames. Half of the shots are mirrored.
    """
    if footage.take.surround:
        footage = _with_surround(footage)
    if rng.random() < 0.5:
        footage = _mirrored(footage)
    fps = float(rng.choice(RATES, p=RATE_ODDS))
    count = max(MIN_FRAMES, round(rng.uniform(*seconds) * fps))
    steps = _there_and_back(len(footage.frames), count)
    size, scale = _framing(footage, rng)
    cameras = _camera_path(footage, steps, size, scale, rng)
    develop = _Film(size, count, rng)
    frames = [
        develop(t, _view(footage.frames[step], camera, size))
        for t, (step, camera) in enumerate(zip(steps, cameras, strict=True))
    ]
    landmarks = np.stack(
        [transform(footage.landmarks[step], camera) for step, camera in zip(steps, cameras, strict=True)]
    )
    return Shot(frames, landmarks, fps)


def _curve(count: int, rng: np.random.Generator) -> np.ndarray:
    """A slow random curve of ``count`` values in [-1, 1]: a sum of three sines of up to 1/30 cycle per frame."""
    t = np.arange(count) / 30
    waves = [
        weight * np.sin(2 * np.pi * (rng.uniform(0.1, top) * t + rng.random()))
        for weight, top in ((0.6, 0.3), (0.3, 0.6), (0.1, 1.0))
    ]
    return np.sum(waves, axis=0)


def _face_height(landmarks: np.ndarray) -> float:
    """Mean height of faces, hairline to chin, in pixels, from their landmarks (… x 5 x 2)."""
    eyes = landmarks[..., :2, :].mean(-2)
    mouth = landmarks[..., 3:, :].mean(-2)
    return float(np.linalg.norm(mouth - eyes, axis=-1).mean() * 2.6)


def _there_and_back(available: int, count: int) -> np.ndarray:
    """The source frame of each frame of the shot: forwards, and backwards again if the take is too short."""
    if available == 1:
        return np.zeros(count, int)
    turn = np.concatenate([np.arange(available), np.arange(available - 2, 0, -1)])
    return turn[np.arange(count) % len(turn)]


def _framing(footage: Footage, rng: np.random.Generator) -> tuple[tuple[int, int], float]:
    """Draw a frame size and the scale of the picture in it.

    The faces get the drawn height, unless the picture would not fill the frame or the people would not fit.
    """
    height, width = footage.frames[0].shape[:2]
    face = _face_height(_focus(footage))
    preferred = rng.uniform(*FACE_HEIGHTS) / face
    low, high = _focus(footage).min((0, 1, 2)), _focus(footage).max((0, 1, 2))
    choices = []
    for index in rng.choice(len(SIZES), len(SIZES), replace=False, p=SIZE_ODDS):
        size = SIZES[index]
        fitting = min(MAX_SPAN * np.array(size) / (high - low))
        covering = COVER * max(size[0] / width, size[1] / height)
        scale = max(min(preferred, fitting), covering)
        if scale <= fitting and scale * face <= MAX_FACE_HEIGHT:
            return size, scale
        choices.append((scale, size))
    scale, size = min(choices)
    return size, scale


def _focus(footage: Footage) -> np.ndarray:
    return footage.landmarks[:, list(footage.take.focus)] if footage.take.focus else footage.landmarks


def _camera_path(
    footage: Footage, steps: np.ndarray, size: tuple[int, int], scale: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """The 2 x 3 matrix from source to frame at each step."""
    count = len(steps)
    zoom = scale * (1 + rng.uniform(0.0, 0.05) * (1 + _curve(count, rng)))
    angle = rng.uniform(0.2, 1.5) * _curve(count, rng)
    middle = _focus(footage).mean(axis=(0, 1, 2))
    aim = np.array([rng.uniform(0.36, 0.64), rng.uniform(0.42, 0.54)]) * size
    sway = np.stack([_curve(count, rng), _curve(count, rng)], 1) * rng.uniform(0.005, 0.03, 2) * size
    shake = np.cumsum(rng.normal(0, 0.25, (count, 2)), 0)
    shake -= np.linspace(0, 1, count)[:, None] * shake[-1]
    height, width = footage.frames[0].shape[:2]
    paths = []
    for t in range(count):
        half = np.array(size) / (2 * zoom[t])
        centre = middle + (np.array(size) / 2 - aim + sway[t] + shake[t]) / zoom[t]
        room = np.array([width, height]) - half
        centre = np.where(half < room, np.clip(centre, half, room), np.array([width, height]) / 2)
        matrix = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), float(angle[t]), float(zoom[t]))
        matrix[:, 2] += np.array(size) / 2 - centre
        paths.append(matrix)
    return paths


def _view(frame: np.ndarray, camera: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The camera's view of a picture. Downscaling uses area interpolation first, to avoid flicker."""
    scale = float(np.hypot(*camera[0, :2]))
    if scale < 0.75:
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        ratio = np.array([small.shape[1] / frame.shape[1], small.shape[0] / frame.shape[0]])
        frame, camera = small, np.column_stack([camera[:, :2] / ratio, camera[:, 2]])
    flags = cv2.INTER_CUBIC if scale > 1.3 else cv2.INTER_LINEAR
    return cv2.warpAffine(frame, camera, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)


class _Film:
    """Drifting light and sensor noise."""

    def __init__(self, size: tuple[int, int], count: int, rng: np.random.Generator) -> None:
        level = rng.uniform(0.88, 1.1)
        warmth = rng.uniform(-0.03, 0.03) + rng.uniform(0.0, 0.02) * _curve(count, rng)
        light = level * (1 + rng.uniform(0.0, 0.07) * _curve(count, rng))
        self.gains = light[:, None] * np.stack([1 + warmth, np.ones(count), 1 - warmth], 1)
        self.size = size
        # One large noise image, cropped at a different position for each frame: cheaper than new noise.
        width, height = size[0] + 64, size[1] + 64
        grain = rng.standard_normal((height, width, 3), np.float32) * 0.5
        grain += rng.standard_normal((height, width, 1), np.float32)
        grain = cv2.GaussianBlur(grain, (0, 0), 0.6) * 2
        self.grain = (grain * rng.uniform(0.8, 2.5)).astype(np.float32)
        self.offsets = rng.integers(0, 64, (count, 2))

    def __call__(self, t: int, frame: np.ndarray) -> np.ndarray:
        x, y = self.offsets[t]
        width, height = self.size
        gains = np.float32(self.gains[t])
        lit = frame * gains + self.grain[y : y + height, x : x + width]
        return np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def _mirrored(footage: Footage) -> Footage:
    """Mirror the frames and the landmarks."""
    width = footage.frames[0].shape[1]
    landmarks = footage.landmarks[:, :, [1, 0, 2, 4, 3]].copy()
    landmarks[..., 0] = width - 1 - landmarks[..., 0]
    frames = [np.ascontiguousarray(frame[:, ::-1]) for frame in footage.frames]
    return Footage(footage.take, frames, landmarks)


def _with_surround(footage: Footage) -> Footage:
    """Extend a photo with its blurred reflection, like the blurred background of a video call."""
    frame = footage.frames[0]
    pad = round(SURROUND * max(frame.shape[:2]))
    sharp = cv2.copyMakeBorder(frame, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
    # The blur is so wide that it can be computed at an eighth of the size.
    small = cv2.resize(sharp, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), pad / 40)
    blurred = cv2.resize(small, sharp.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    photo = np.zeros(sharp.shape[:2], np.float32)
    feather = pad // 12
    photo[pad + feather : -pad - feather, pad + feather : -pad - feather] = 1
    photo = cv2.GaussianBlur(photo, (0, 0), feather / 2)[..., None]
    mixed = np.rint(sharp * photo + blurred * (1 - photo)).astype(np.uint8)
    return Footage(footage.take, [mixed], footage.landmarks + np.float32(pad))
