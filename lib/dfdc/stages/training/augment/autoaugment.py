"""AutoAugment's policy for ImageNet: 25 sub-policies of two operations each, one sub-policy per image.

Cubuk et al., "AutoAugment: Learning Augmentation Policies from Data" (2019), appendix, table of the ImageNet
policy, in its original form; magnitudes are drawn around those of the policy. Pixels are those of Pillow's operations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageStat

LARGEST_MAGNITUDE = 10.0
RAMP = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])  # all values of a channel
FILL = (124, 116, 104)  # ImageNet's mean colour, for the empty corners of rotated and sheared images

# (operation, probability, magnitude), twice for each sub-policy. Some appear twice, as in the paper.
SUB_POLICIES = (
    (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
    (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
    (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
    (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
    (("equalize", 0.4, 4), ("rotate", 0.8, 8)),
    (("solarize", 0.6, 3), ("equalize", 0.6, 7)),
    (("posterize", 0.8, 5), ("equalize", 1.0, 2)),
    (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
    (("equalize", 0.6, 8), ("posterize", 0.4, 6)),
    (("rotate", 0.8, 8), ("color", 0.4, 0)),
    (("rotate", 0.4, 9), ("equalize", 0.6, 2)),
    (("equalize", 0.0, 7), ("equalize", 0.8, 8)),
    (("invert", 0.6, 4), ("equalize", 1.0, 8)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("rotate", 0.8, 8), ("color", 1.0, 2)),
    (("color", 0.8, 8), ("solarize", 0.8, 7)),
    (("sharpness", 0.4, 7), ("invert", 0.6, 8)),
    (("shear_x", 0.6, 5), ("equalize", 1.0, 9)),
    (("color", 0.4, 0), ("equalize", 0.6, 3)),
    (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
    (("invert", 0.6, 4), ("equalize", 1.0, 8)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
)


@dataclass(frozen=True)
class Operation:
    """A drawn operation: its magnitude from 0 to 10 and, for rotation and shear, its sign and filter.

    ``sign`` is -1 or 1; ``bicubic`` selects the bicubic instead of the bilinear filter.
    """

    name: str
    magnitude: float
    sign: int
    bicubic: bool

    @property
    def share(self) -> float:
        """The magnitude, scaled to 0 to 1."""
        return self.magnitude / LARGEST_MAGNITUDE

    @property
    def factor(self) -> float:
        """How strong an enhancement is: 0.1 to 1.9, where 1 changes nothing."""
        return self.share * 1.8 + 0.1

    @property
    def resampling(self) -> Image.Resampling:
        """The filter as Pillow's constant."""
        return Image.Resampling.BICUBIC if self.bicubic else Image.Resampling.BILINEAR


def draw_operations(rng: np.random.Generator, magnitude_std: float) -> tuple[Operation, ...]:
    """Draw a sub-policy, which of its two operations are applied (possibly none), and their magnitudes."""
    operations = []
    for name, probability, magnitude in SUB_POLICIES[rng.integers(len(SUB_POLICIES))]:
        applies = rng.random() < probability
        drawn = Operation(
            name=name,
            magnitude=min(max(rng.normal(magnitude, magnitude_std), 0.0), LARGEST_MAGNITUDE),
            sign=int(rng.choice((-1, 1))),
            bicubic=bool(rng.random() < 0.5),
        )
        if applies:
            operations.append(drawn)
    return tuple(operations)


def apply_operations(image: np.ndarray, operations: Sequence[Operation]) -> np.ndarray:
    """Apply the operations in order to an RGB uint8 image. The result has the same shape and type."""
    for operation in operations:
        image = OPERATIONS[operation.name](image, operation)
    return image


# What maps each value to another is done without Pillow, in half of its time or much less, with the same pixels.


def _posterize(image: np.ndarray, operation: Operation) -> np.ndarray:
    dropped = 4 - int(operation.share * 4)  # of 8 bits
    return image >> dropped << dropped


def _solarize(image: np.ndarray, operation: Operation) -> np.ndarray:
    return image ^ -(image >= int(operation.share * 256)).view(np.uint8)


def _invert(image: np.ndarray, _: Operation) -> np.ndarray:
    return ~image


def _autocontrast(image: np.ndarray, _: Operation) -> np.ndarray:
    channels = []
    for channel in cv2.split(image):
        low, high, _, _ = cv2.minMaxLoc(channel)
        if low < high:
            scale = 255.0 / (high - low)
            table = np.arange(256) * scale + -low * scale
            channel = cv2.LUT(channel, table.clip(0, 255).astype(np.uint8))
        channels.append(channel)
    return cv2.merge(channels)


def _equalize(image: np.ndarray, _: Operation) -> np.ndarray:
    channels = []
    for channel in cv2.split(image):
        counts = cv2.calcHist([channel], [0], None, [256], [0, 256])[:, 0].astype(np.int64)
        # Each value should be as frequent as any other; the pixels of the largest one do not count.
        step = (channel.size - counts[counts.nonzero()[0][-1]]) // 255
        if step:
            before = counts.cumsum() - counts
            channel = cv2.LUT(channel, ((step // 2 + before) // step).clip(0, 255).astype(np.uint8))
        channels.append(channel)
    return cv2.merge(channels)


def _contrast(image: np.ndarray, operation: Operation) -> np.ndarray:
    mean = int(ImageStat.Stat(Image.fromarray(image).convert("L")).mean[0] + 0.5)
    table = Image.blend(Image.new("L", RAMP.size, mean), RAMP, operation.factor)
    return cv2.LUT(image, np.asarray(table))


def _by_pillow(
    change: Callable[[Image.Image, Operation], Image.Image],
) -> Callable[[np.ndarray, Operation], np.ndarray]:
    return lambda image, operation: np.array(change(Image.fromarray(image), operation))


def _rotate(image: Image.Image, operation: Operation) -> Image.Image:
    degrees = operation.sign * operation.share * 30
    return image.rotate(degrees, operation.resampling, fillcolor=FILL)


def _shear_x(image: Image.Image, operation: Operation) -> Image.Image:
    matrix = (1, operation.sign * operation.share * 0.3, 0, 0, 1, 0)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, operation.resampling, fillcolor=FILL)


OPERATIONS: dict[str, Callable[[np.ndarray, Operation], np.ndarray]] = {
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "invert": _invert,
    "contrast": _contrast,
    "color": _by_pillow(lambda image, operation: ImageEnhance.Color(image).enhance(operation.factor)),
    "sharpness": _by_pillow(lambda image, operation: ImageEnhance.Sharpness(image).enhance(operation.factor)),
    "rotate": _by_pillow(_rotate),
    "shear_x": _by_pillow(_shear_x),
}
