"""The draws of one training sample: a pair of real and fake frames at a slot of the batch of an iteration.

All depends on (seed, iteration, slot) only. Models that look at single frames draw anew for each frame;
models that look at a sequence draw once for all of its frames. A real frame and its fake share every draw.
"""

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import numpy as np

from dfdc.networks.settings import CropPolicy
from dfdc.seeding import generator
from dfdc.stages.training.augment.erasing import ErasingDraw, draw_erasing
from dfdc.stages.training.augment.settings import AugmentSettings
from dfdc.stages.training.augment.transform import TransformDraw, apply_transform, draw_transform

ModelKind = Literal["frame", "sequence"]
Draw = TypeVar("Draw")


def transform_pair(
    real: Sequence[np.ndarray],
    fake: Sequence[np.ndarray],
    kind: ModelKind,
    policy: CropPolicy,
    settings: AugmentSettings,
    seed: int,
    iteration: int,
    slot: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Transform the F real frames of a sample and their F fakes, with the same draws.

    Frames are RGB uint8 images of any size. Gives two arrays, F x height x width x 3, RGB uint8. Raises
    ValueError if there are not as many fake frames as real ones, or none.
    """
    if len(real) != len(fake) or len(real) == 0:
        raise ValueError(f"a sample needs as many fake frames as real ones, not {len(fake)} for {len(real)}")
    draws = _draw_frames(
        lambda rng: draw_transform(rng, settings), kind, len(real), seed, "image transform", iteration, slot
    )
    return _transform(real, draws, policy), _transform(fake, draws, policy)


def draw_erasings(
    kind: ModelKind,
    frames: int,
    policy: CropPolicy,
    settings: AugmentSettings,
    seed: int,
    iteration: int,
    slot: int,
) -> list[ErasingDraw | None]:
    """What is erased of each of the frames of a sample, or None where nothing is."""
    return _draw_frames(
        lambda rng: draw_erasing(rng, settings, policy.height, policy.width),
        kind,
        frames,
        seed,
        "erasing",
        iteration,
        slot,
    )


def draw_targets(kind: ModelKind, frames: int, alpha: float, seed: int, iteration: int, slot: int) -> np.ndarray:
    """The share of the fake in each frame of a sample: F float32 numbers in [0, 1], Beta(alpha, alpha)."""
    drawn = _draw_frames(lambda rng: rng.beta(alpha, alpha), kind, frames, seed, "mixup target", iteration, slot)
    return np.array(drawn, np.float32)


def _transform(frames: Sequence[np.ndarray], draws: Sequence[TransformDraw], policy: CropPolicy) -> np.ndarray:
    return np.stack([apply_transform(frame, draw, policy) for frame, draw in zip(frames, draws, strict=True)])


def _draw_frames(
    draw: Callable[[np.random.Generator], Draw],
    kind: ModelKind,
    frames: int,
    seed: int,
    topic: str,
    iteration: int,
    slot: int,
) -> list[Draw]:
    """One draw for each frame, or one for all of a sequence."""
    if kind == "sequence":
        return [draw(generator(seed, topic, iteration, slot))] * frames
    if kind == "frame":
        return [draw(generator(seed, topic, iteration, slot, frame)) for frame in range(frames)]
    raise ValueError(f"a model is of kind 'frame' or 'sequence', not {kind!r}")
