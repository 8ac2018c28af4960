"""Random Erasing: a rectangle of a normalised image is replaced by noise.

Zhong et al., "Random Erasing Data Augmentation" (2020), section 3, with Gaussian noise per pixel and channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dfdc.stages.training.augment.settings import AugmentSettings

TRIES = 10  # to find a rectangle that fits into the image


@dataclass(frozen=True)
class ErasingDraw:
    """The rectangle to erase from an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def values(self) -> int:
        """The number of values that are replaced: three for each pixel."""
        return 3 * self.height * self.width


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
            )
    return None


def draw_noise(rng: np.random.Generator, draw: ErasingDraw, target: float) -> np.ndarray:
    """The noise in the rectangle of a mixture, which has the share ``target`` of the fake: float32, 3 values a pixel.

    A real face and its fake are erased in the same rectangle, each with N(0, 1) noise of its own, and then mixed. The
    mixture of two normal distributions' values is again normal, with the variance (1 - target)² + target², and is drawn
    as such, in half of the time.
    """
    noise = rng.standard_normal(draw.values, np.float32)
    noise *= np.hypot(1 - target, target)
    return noise


def erase_(batch: torch.Tensor, draws: Sequence[ErasingDraw | None], noise: torch.Tensor) -> torch.Tensor:
    """Erase parts of normalised images, N x 3 x height x width, in place, with one draw per image; returns the batch.

    ``noise``: what ``draw_noise`` gives for all images that are erased, one after the other.
    """
    if len(draws) != len(batch):
        raise ValueError(f"{len(batch)} images need as many draws, not {len(draws)}")
    noise, used = noise.to(batch.device, non_blocking=True), 0
    for number, draw in enumerate(draws):
        if draw is not None:
            rows = slice(draw.top, draw.top + draw.height)
            columns = slice(draw.left, draw.left + draw.width)
            pixels = noise[used : used + draw.values].view(draw.height, draw.width, 3)
            batch[number, :, rows, columns] = pixels.permute(2, 0, 1)
            used += draw.values
    return batch
