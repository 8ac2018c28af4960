"""Random Erasing: a rectangle of a normalised image is replaced by noise.

Zhong et al., "Random Erasing Data Augmentation" (2020), section 3, with Gaussian noise per pixel and channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dfdc.seeding import generator
from dfdc.stages.training.augment.settings import AugmentSettings

TRIES = 10  # to find a rectangle that fits into the image


@dataclass(frozen=True)
class ErasingDraw:
    """The rectangle to erase, in pixels, and the seed of its noise."""

    top: int
    left: int
    height: int
    width: int
    noise_seed: int


def draw_erasing(rng: np.random.Generator, settings: AugmentSettings, height: int, width: int) -> ErasingDraw | None:
    """Draw the rectangle to erase from images of ``height`` x ``width``, or None.

    Area and aspect ratio are drawn uniformly and log-uniformly from their ranges, before rounding to pixels. A
    rectangle that does not fit is redrawn, up to 10 tries in all; then nothing is erased.
    """
    if rng.random() >= settings.erasing:
        return None
    for _ in range(TRIES):
        area = rng.uniform(*settings.erasing_area) * height * width
        aspect = np.exp(rng.uniform(*np.log(settings.erasing_aspect)))
        rows, columns = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < rows < height and 0 < columns < width:
            return ErasingDraw(
                top=int(rng.integers(height - rows + 1)),
                left=int(rng.integers(width - columns + 1)),
                height=rows,
                width=columns,
                noise_seed=int(rng.integers(2**63)),
            )
    return None


def erase_(batch: torch.Tensor, draws: Sequence[ErasingDraw | None]) -> torch.Tensor:
    """Erase parts of normalised images, N x C x height x width, in place, with one draw per image; returns the batch.

    The noise is N(0, 1), generated on the CPU so that it does not depend on the device. Erasing two images with one
    draw and then mixing them gives the same result as erasing their mixture.
    """
    for image, draw in zip(batch, draws, strict=True):
        if draw is not None:
            rng = generator(draw.noise_seed, "erasing noise")
            noise = rng.standard_normal((len(image), draw.height, draw.width), np.float32)
            rows = slice(draw.top, draw.top + draw.height)
            columns = slice(draw.left, draw.left + draw.width)
            image[:, rows, columns] = torch.from_numpy(noise).to(image)
    return batch
