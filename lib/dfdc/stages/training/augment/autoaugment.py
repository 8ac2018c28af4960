"""AutoAugment's policy for ImageNet: 25 sub-policies of two operations each, one sub-policy per image.

Cubuk et al., "AutoAugment: Learning Augmentation Policies from Data" (2019), appendix, table of the ImageNet
policy, in its original form; magnitudes are drawn around those of the policy. Operations are Pillow's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

LARGEST_MAGNITUDE = 10.0
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
            magnitude=float(np.clip(rng.normal(magnitude, magnitude_std), 0, LARGEST_MAGNITUDE)),
            sign=int(rng.choice((-1, 1))),
            bicubic=bool(rng.random() < 0.5),
        )
        if applies:
            operations.append(drawn)
    return tuple(operations)


def apply_operations(image: np.ndarray, operations: Sequence[Operation]) -> np.ndarray:
    """Apply the operations in order to an RGB uint8 image. The result has the same shape and type."""
    if not operations:
        return image
    picture = Image.fromarray(image)
    for operation in operations:
        picture = OPERATIONS[operation.name](picture, operation)
    return np.array(picture)


def _posterize(image: Image.Image, operation: Operation) -> Image.Image:
    return ImageOps.posterize(image, 4 + int(operation.share * 4))


def _solarize(image: Image.Image, operation: Operation) -> Image.Image:
    return ImageOps.solarize(image, int(operation.share * 256))


def _rotate(image: Image.Image, operation: Operation) -> Image.Image:
    degrees = operation.sign * operation.share * 30
    return image.rotate(degrees, operation.resampling, fillcolor=FILL)


def _shear_x(image: Image.Image, operation: Operation) -> Image.Image:
    matrix = (1, operation.sign * operation.share * 0.3, 0, 0, 1, 0)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, operation.resampling, fillcolor=FILL)


def _enhance(enhancement: Callable) -> Callable[[Image.Image, Operation], Image.Image]:
    def apply(image: Image.Image, operation: Operation) -> Image.Image:
        return enhancement(image).enhance(operation.share * 1.8 + 0.1)

    return apply


OPERATIONS: dict[str, Callable[[Image.Image, Operation], Image.Image]] = {
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": lambda image, _: ImageOps.autocontrast(image),
    "equalize": lambda image, _: ImageOps.equalize(image),
    "invert": lambda image, _: ImageOps.invert(image),
    "color": _enhance(ImageEnhance.Color),
    "contrast": _enhance(ImageEnhance.Contrast),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "rotate": _rotate,
    "shear_x": _shear_x,
}
