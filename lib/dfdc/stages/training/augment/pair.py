"""The random draws of one training sample: a pair of real and fake frames in a slot of a batch.

They depend only on (seed, iteration, slot). Frame models have separate draws for each frame; sequence models have one
draw for all frames. A real frame and its fake share every draw.
"""

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import numpy as np

from dfdc.data.seeding import generator
from dfdc.networks.settings import CropPolicy
from dfdc.stages.training.augment.erasing import ErasingDraw, draw_erasing, draw_noise
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

    Frames are RGB uint8 images of any size. Returns two arrays, F x height x width x 3, RGB uint8. Raises
    ValueError if the numbers of real and fake frames differ or are 0.
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
    """The erasing draw of each frame of a sample, None for frames that are not erased."""
    if settings.erasing == 0:
        return [None] * frames
    return _draw_frames(
        lambda rng: draw_erasing(rng, settings, policy.height, policy.width),
        kind,
        frames,
        seed,
        "erasing",
        iteration,
        slot,
    )


def draw_erasing_noise(
    erasings: Sequence[ErasingDraw | None], targets: Sequence[float], seed: int, iteration: int, slot: int
) -> np.ndarray:
    """The noise for the frames of a sample that are erased, one after the other, as ``erase_`` takes it.

    Each frame has noise of its own, whatever the kind of the model; ``targets`` has the mixup target of each.
    """
    noise = [
        draw_noise(generator(seed, "erasing noise", iteration, slot, frame), draw, target)
        for frame, (draw, target) in enumerate(zip(erasings, targets, strict=True))
        if draw is not None
    ]
    return np.concatenate(noise) if noise else np.zeros(0, np.float32)


def draw_targets(kind: ModelKind, frames: int, alpha: float, seed: int, iteration: int, slot: int) -> np.ndarray:
    """The mixup target (weight of the fake) of each frame: F float32 values in [0, 1] from Beta(alpha, alpha)."""
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
    """One draw per frame for frame models, one shared draw for sequence models."""
    if kind == "sequence":
        return [draw(generator(seed, topic, iteration, slot))] * frames
    if kind == "frame":
        return [draw(generator(seed, topic, iteration, slot, frame)) for frame in range(frames)]
    raise ValueError(f"a model is of kind 'frame' or 'sequence', not {kind!r}")
