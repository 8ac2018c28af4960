"""Simple deepfakes: face swaps, and self-blended faces.

Both follow the usual steps of face-swap programs: align by landmarks, render a face of limited resolution, match its
colours, blend it with a soft mask. Self-blends are those of Shiohara and Yamasaki, "Detecting Deepfakes with
Self-Blended Images" (CVPR 2022), section 3, adapted to video: the transforms are constant within a shot, and only the
alignment jitters. Pixels outside the mask do not change.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from dfdc.demo.motion import Shot
from dfdc.demo.people import DONOR_SIDE, TEMPLATE, Donor, similarity, transform

KINDS = ("swap", "self-blend")


@dataclass(frozen=True)
class Recipe:
    """The parameters of one faked face, constant within a shot so that the fake is consistent over time.

    ``resolution`` is the side in pixels of the square, hairline to chin, in which the face is rendered. In units of
    that square: ``softness`` (sigma of the mask's edge), ``grow`` (dilation of the mask), ``tremble`` (sigma of the
    alignment jitter) and ``warp`` (the 2 x 3 matrix of a self-blend). ``matching`` is the fraction of the colour
    difference that is removed, 0 to 1; ``offset`` is added in Lab (8-bit units) and ``contrast`` scales lightness
    around its mean; ``blur`` is a sigma in rendered pixels, negative values sharpen.
    """

    resolution: int
    opacity: float
    softness: float
    grow: float
    matching: float
    offset: np.ndarray
    contrast: float
    blur: float
    tremble: float
    warp: np.ndarray


def draw_recipe(kind: str, rng: np.random.Generator) -> Recipe:
    """Draw the parameters of a fake of a kind ("swap" or "self-blend"); fakes range from easy to hard to detect."""
    self_blend = kind == "self-blend"
    angle = rng.normal(0, 2.5)
    warp = cv2.getRotationMatrix2D((0.5, 0.5), float(angle), float(rng.uniform(0.94, 1.08)))
    warp[:, 2] += rng.uniform(0.012, 0.035, 2) * rng.choice((-1, 1), 2)
    return Recipe(
        resolution=int(rng.integers(54, 101)),
        opacity=float(rng.uniform(0.8, 1.0)),
        softness=float(rng.uniform(0.015, 0.05)),
        grow=float(rng.uniform(-0.03, 0.06)),
        matching=float(rng.uniform(0.55, 0.95)),
        offset=np.float32(rng.normal(0, (9, 4.5, 4.5))) if self_blend else np.float32(rng.normal(0, (5, 2.5, 2.5))),
        contrast=float(rng.uniform(0.85, 1.2)),
        blur=float(rng.choice((-0.8, 0.0, 0.0, 0.5, 0.8))),
        tremble=float(rng.uniform(0.002, 0.009)),
        warp=warp if self_blend else np.eye(2, 3),
    )


def fake_frames(shot: Shot, donors: list[Donor | None], recipes: list[Recipe], rng: np.random.Generator) -> Iterator:
    """Yield the frames of a shot with every face replaced, in order.

    ``donors`` and ``recipes`` have one entry for each person in the shot; a donor of None means a self-blend. Frames
    are RGB uint8 of the shot's size.
    """
    count, people = shot.landmarks.shape[:2]
    donors = [donor and _facing(donor, shot.landmarks[:, person]) for person, donor in enumerate(donors)]
    starts = rng.integers(0, 1000, people)
    trembles = [_tremble(count, recipe.tremble, rng) for recipe in recipes]
    for t, frame in enumerate(shot.frames):
        fake = frame.copy()
        for person in range(people):
            landmarks, recipe = shot.landmarks[t, person], recipes[person]
            if not _in_view(landmarks, frame):
                continue
            to_frame = similarity(TEMPLATE, landmarks)
            shaken = transform(TEMPLATE + trembles[person][t], to_frame)
            landmarks = landmarks + (shaken - transform(TEMPLATE, to_frame))
            _replace_face(fake, frame, landmarks, donors[person], int(starts[person]) + t, recipe)
        yield fake


def _in_view(landmarks: np.ndarray, frame: np.ndarray) -> bool:
    """Whether any part of the face is in the picture."""
    low, high = landmarks.min(0), landmarks.max(0)
    margin = high - low
    return bool((high + margin > 0).all() and (low - margin < frame.shape[1::-1]).all())


def _replace_face(
    fake: np.ndarray, frame: np.ndarray, landmarks: np.ndarray, donor: Donor | None, step: int, recipe: Recipe
) -> None:
    """Blend a rendered face into ``fake`` at the landmarks; ``frame`` is the original picture."""
    side = recipe.resolution
    to_square = similarity(landmarks, TEMPLATE * side)
    own = _square(frame, landmarks, side)
    aligned = transform(landmarks, to_square)
    mask = _mask(aligned, side, recipe)
    if donor is None:
        face = _warped_self(own, recipe)
    else:
        picture, known = _donor_frame(donor, step)
        face = cv2.warpAffine(picture, _affine(known, aligned), (side, side), borderMode=cv2.BORDER_REFLECT_101).astype(
            np.float32
        )
    face = _coloured(face, own, mask > 0.5, recipe)
    face = _focused(face, recipe.blur)
    _paste(fake, face, mask * recipe.opacity, cv2.invertAffineTransform(to_square))


def _square(frame: np.ndarray, landmarks: np.ndarray, side: int) -> np.ndarray:
    """The face in a square of ``side`` pixels, aligned to the template, float32 in 0 to 255."""
    # Rendered at twice the size first, to avoid aliasing when a large face is downscaled.
    double = similarity(landmarks, TEMPLATE * 2 * side)
    large = cv2.warpAffine(frame, double, (2 * side, 2 * side), borderMode=cv2.BORDER_REFLECT_101)
    return cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)


def _warped_self(own: np.ndarray, recipe: Recipe) -> np.ndarray:
    """The original face after the recipe's small geometric transform."""
    side = recipe.resolution
    warp = recipe.warp.copy()
    warp[:, 2] *= side
    return cv2.warpAffine(own, warp, (side, side), borderMode=cv2.BORDER_REFLECT_101)


def _facing(donor: Donor, landmarks: np.ndarray) -> Donor:
    """The donor, mirrored if necessary to face the same way as a face given by landmarks (frames x 5 x 2)."""
    if _turn(donor.landmarks) * _turn(landmarks) >= 0:
        return donor
    mirrored = donor.landmarks[:, [1, 0, 2, 4, 3]].copy()
    mirrored[..., 0] = DONOR_SIDE - 1 - mirrored[..., 0]
    return Donor(donor.person, [np.ascontiguousarray(frame[:, ::-1]) for frame in donor.frames], mirrored)


def _turn(landmarks: np.ndarray) -> float:
    """The mean head turn of a face (frames x 5 x 2): negative to the left, positive to the right."""
    eyes = landmarks[:, :2]
    nose = landmarks[:, 2] - eyes.mean(1)
    across = eyes[:, 1] - eyes[:, 0]
    return float(np.mean((nose * across).sum(1) / (across**2).sum(1)))


def _donor_frame(donor: Donor, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The donor's picture and landmarks at a time step, playing its frames forwards and backwards in turn."""
    count = len(donor.frames)
    turn = [*range(count), *range(count - 2, 0, -1)]
    index = turn[step % len(turn)]
    return donor.frames[index], donor.landmarks[index]


def _affine(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The 2 x 3 affine matrix that maps points onto others (least squares)."""
    rows = np.column_stack([source, np.ones(len(source))])
    return np.linalg.lstsq(rows.astype(float), target.astype(float), rcond=None)[0].T


def _mask(landmarks: np.ndarray, side: int, recipe: Recipe) -> np.ndarray:
    """A soft convex mask from the brows to the chin around five landmarks in a square, float32 in [0, 1]."""
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    down = mouth - eyes
    across = landmarks[1] - landmarks[0]
    chin = mouth + 0.42 * down
    points = [
        landmarks[0] - 0.30 * across - 0.10 * down,
        landmarks[0] - 0.05 * across - 0.45 * down,
        landmarks[1] + 0.05 * across - 0.45 * down,
        landmarks[1] + 0.30 * across - 0.10 * down,
        landmarks[4] + 0.30 * across,
        chin + 0.22 * across,
        chin - 0.22 * across,
        landmarks[3] - 0.30 * across,
    ]
    middle = (eyes + mouth) / 2
    grown = middle + (np.array(points) - middle) * (1 + 2 * recipe.grow)
    mask = np.zeros((side, side), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.int32(np.rint(grown * 16))), 255, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(mask, (0, 0), recipe.softness * side).astype(np.float32) / 255
    # The mask must vanish at the edge of the square, or the blend would end in a straight line.
    ramp = np.minimum(np.arange(side), np.arange(side)[::-1]) / (0.04 * side)
    return soft * np.clip(np.minimum(ramp[:, None], ramp[None]), 0, 1).astype(np.float32)


def _coloured(face: np.ndarray, own: np.ndarray, inside: np.ndarray, recipe: Recipe) -> np.ndarray:
    """The face with its colours matched to those of the face that it covers, as far as the recipe says."""
    lab = cv2.cvtColor(np.clip(face, 0, 255) / 255, cv2.COLOR_RGB2LAB)
    goal = cv2.cvtColor(np.clip(own, 0, 255) / 255, cv2.COLOR_RGB2LAB)
    if not inside.any():
        return face
    mean, deviation = lab[inside].mean(0), lab[inside].std(0) + 1e-3
    goal_mean, goal_deviation = goal[inside].mean(0), goal[inside].std(0)
    ratio = 1 + recipe.matching * (np.clip(goal_deviation / deviation, 0.5, 2) - 1)
    offset = recipe.offset / np.float32([2.55, 1, 1])  # OpenCV's float Lab has L in 0 to 100
    matched = mean + recipe.matching * (goal_mean - mean)
    lab = (lab - mean) * (ratio * np.float32([recipe.contrast, 1, 1])) + matched + offset
    return cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB) * 255


def _focused(face: np.ndarray, blur: float) -> np.ndarray:
    if blur == 0:
        return face
    soft = cv2.GaussianBlur(face, (0, 0), abs(blur))
    return soft if blur > 0 else face + 1.2 * (face - soft)


def _paste(fake: np.ndarray, face: np.ndarray, mask: np.ndarray, to_frame: np.ndarray) -> None:
    """Blend the square into the picture with the mask, in place."""
    side = len(face)
    height, width = fake.shape[:2]
    corners = transform(np.array([(0, 0), (side, 0), (side, side), (0, side)]), to_frame)
    left, top = np.clip(np.floor(corners.min(0)).astype(int), 0, (width, height))
    right, bottom = np.clip(np.ceil(corners.max(0)).astype(int) + 1, 0, (width, height))
    if right <= left or bottom <= top:
        return
    matrix = to_frame.copy()
    matrix[:, 2] -= (left, top)
    size = (int(right - left), int(bottom - top))
    large = cv2.warpAffine(face, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR)[..., None]
    region = fake[top:bottom, left:right]
    region[:] = np.clip(np.rint(region + alpha * (large - region)), 0, 255).astype(np.uint8)


def _tremble(count: int, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Alignment jitter (frames x 1 x 2): mostly independent between frames, with some slow drift."""
    fast = rng.normal(0, amount, (count, 1, 2))
    slow = np.cumsum(rng.normal(0, amount / 4, (count, 1, 2)), 0)
    return np.clip(fast + slow - slow.mean(0), -0.05, 0.05)
