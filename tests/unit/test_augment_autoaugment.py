from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from dfdc.data.seeding import generator
from dfdc.stages.training.augment.autoaugment import (
    FILL,
    OPERATIONS,
    SUB_POLICIES,
    Operation,
    apply_operations,
    draw_operations,
)

TABLE = """
Posterize .4 8, Rotate .6 9 | Solarize .6 5, AutoContrast .6 5 | Equalize .8 8, Equalize .6 3 |
Posterize .6 7, Posterize .6 6 | Equalize .4 7, Solarize .2 4 | Equalize .4 4, Rotate .8 8 |
Solarize .6 3, Equalize .6 7 | Posterize .8 5, Equalize 1 2 | Rotate .2 3, Solarize .6 8 |
Equalize .6 8, Posterize .4 6 | Rotate .8 8, Color .4 0 | Rotate .4 9, Equalize .6 2 |
Equalize 0 7, Equalize .8 8 | Invert .6 4, Equalize 1 8 | Color .6 4, Contrast 1 8 |
Rotate .8 8, Color 1 2 | Color .8 8, Solarize .8 7 | Sharpness .4 7, Invert .6 8 |
ShearX .6 5, Equalize 1 9 | Color .4 0, Equalize .6 3 | Equalize .4 7, Solarize .2 4 |
Solarize .6 5, AutoContrast .6 5 | Invert .6 4, Equalize 1 8 | Color .6 4, Contrast 1 8 |
Equalize .8 8, Equalize .6 3
"""


def noise(height: int = 40, width: int = 30, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def shaded() -> np.ndarray:
    """Soft light from one side with a little noise, in a colour: no channel uses its whole range."""
    rows, columns = np.mgrid[0:48, 0:40]
    light = 80 + 3 * columns + 40 * np.sin(rows / 7)
    return (light[..., None] * (1.0, 0.8, 0.6) + noise(48, 40) / 16).astype(np.uint8)


def apply(image: np.ndarray, name: str, magnitude: float, sign: int = 1, bicubic: bool = False) -> np.ndarray:
    return apply_operations(image, [Operation(name, magnitude, sign, bicubic)])


def test_the_sub_policies_are_those_of_the_paper():
    def read(text: str) -> tuple[str, float, int]:
        name, probability, magnitude = text.split()
        return {"ShearX": "shear_x"}.get(name, name.lower()), float(probability), int(magnitude)

    published = [tuple(read(part) for part in policy.split(",")) for policy in TABLE.split("|")]
    assert published == list(SUB_POLICIES)
    assert len(SUB_POLICIES) == 25


@pytest.mark.parametrize("name", OPERATIONS)
@given(
    height=st.integers(4, 50),
    width=st.integers(4, 50),
    seed=st.integers(0, 99),
    magnitude=st.floats(0, 10),
    sign=st.sampled_from((-1, 1)),
    bicubic=st.booleans(),
)
@settings(deadline=None, max_examples=15)
def test_operations_keep_shape_and_type_and_leave_their_input_alone(
    name, height, width, seed, magnitude, sign, bicubic
):
    image = noise(height, width, seed)
    before = image.copy()
    changed = apply(image, name, magnitude, sign, bicubic)
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert changed.flags.writeable
    np.testing.assert_array_equal(image, before)


def by_pillow(pixels: np.ndarray, name: str, magnitude: float, sign: int, bicubic: bool) -> Image.Image:
    """The operation as the published policy has it, in Pillow's own words."""
    image, share = Image.fromarray(pixels), magnitude / 10
    resample = Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR
    match name:
        case "posterize":
            return ImageOps.posterize(image, 4 + int(share * 4))
        case "solarize":
            return ImageOps.solarize(image, int(share * 256))
        case "autocontrast" | "equalize" | "invert":
            return getattr(ImageOps, name)(image)
        case "color" | "contrast" | "sharpness":
            return getattr(ImageEnhance, name.capitalize())(image).enhance(share * 1.8 + 0.1)
        case "rotate":
            return image.rotate(sign * share * 30, resample, fillcolor=(124, 116, 104))
        case "shear_x":
            matrix = (1, sign * share * 0.3, 0, 0, 1, 0)
            return image.transform(image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=(124, 116, 104))
    raise AssertionError(name)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("magnitude", [0, 0.7, 3, 4.99, 8.2, 10])
def test_an_operation_gives_pillow_s_pixels(name, magnitude):
    for sign, bicubic in ((1, False), (-1, True)):
        expected = np.array(by_pillow(shaded(), name, magnitude, sign, bicubic))
        np.testing.assert_array_equal(apply(shaded(), name, magnitude, sign, bicubic), expected)


@pytest.mark.parametrize("name", ["posterize", "solarize", "autocontrast", "equalize", "invert", "contrast"])
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    seed=st.integers(0, 99),
    low=st.integers(0, 255),
    spread=st.sampled_from((0, 1, 2, 5, 60, 255)),
    magnitude=st.floats(0, 10),
)
@settings(deadline=None, max_examples=60)
def test_operations_without_pillow_give_its_pixels(name, height, width, seed, low, spread, magnitude):
    """Of any size, with all values in a channel, or few, or one."""
    image = np.random.default_rng(seed).integers(low, min(low + spread, 255) + 1, (height, width, 3), np.uint8)
    image[..., 1] = low
    expected = np.array(by_pillow(image, name, magnitude, 1, False))
    np.testing.assert_array_equal(apply(image, name, magnitude), expected)


def test_each_operation_differs_from_the_others():
    """Or the comparison with Pillow would not tell them apart."""
    results = {apply(shaded(), name, 8.2).tobytes() for name in OPERATIONS}
    assert len(results | {shaded().tobytes()}) == len(OPERATIONS) + 1


@pytest.mark.parametrize(
    ("name", "magnitude"),
    [
        ("posterize", 10),
        ("solarize", 10),
        ("color", 5),
        ("contrast", 5),
        ("sharpness", 5),
        ("rotate", 0),
        ("shear_x", 0),
    ],
)
@pytest.mark.parametrize("bicubic", [False, True])
def test_magnitudes_that_change_nothing(name, magnitude, bicubic):
    np.testing.assert_array_equal(apply(noise(), name, magnitude, bicubic=bicubic), noise())


@pytest.mark.parametrize(("magnitude", "bits"), [(0, 4), (2.4, 4), (2.5, 5), (5, 6), (7.6, 7), (9.99, 7)])
def test_posterize_keeps_4_to_8_bits(magnitude, bits):
    np.testing.assert_array_equal(apply(noise(), "posterize", magnitude), noise() >> (8 - bits) << (8 - bits))


@pytest.mark.parametrize("magnitude", [0, 3, 5.5, 9])
def test_solarize_inverts_from_its_threshold_on(magnitude):
    threshold = int(magnitude / 10 * 256)
    expected = np.where(noise() < threshold, noise(), 255 - noise())
    np.testing.assert_array_equal(apply(noise(), "solarize", magnitude), expected)


def test_invert():
    np.testing.assert_array_equal(apply(noise(), "invert", 4), 255 - noise())


def test_autocontrast_and_equalize_spread_each_channel():
    dull = (noise() // 4 + 60).astype(np.uint8)
    for name in ("autocontrast", "equalize"):
        spread = apply(dull, name, 5).reshape(-1, 3)
        assert (spread.min(0) == 0).all()
        assert (spread.max(0) >= 254).all()


def test_enhancements_weaken_below_the_middle_and_strengthen_above():
    def colourfulness(image):
        return np.ptp(image.astype(float), axis=2).mean()

    def sharpness(image):
        return np.abs(np.diff(image.astype(float), axis=0)).mean()

    mild = (noise() // 2 + 64).astype(np.uint8)
    for name, measure in [("color", colourfulness), ("contrast", np.std), ("sharpness", sharpness)]:
        weak, middle, strong = (measure(apply(mild, name, magnitude)) for magnitude in (0, 5, 10))
        assert weak < 0.95 * middle
        assert strong > 1.05 * middle
    # factor 0.1 + 1.8 · m / 10: at 0 a tenth of the colour is left
    assert colourfulness(apply(mild, "color", 0)) == pytest.approx(0.1 * colourfulness(mild), abs=1)


def dot(row: int, column: int) -> np.ndarray:
    image = np.zeros((101, 101, 3), np.uint8)
    image[row - 1 : row + 2, column - 1 : column + 2] = 255
    return image


def where(image: np.ndarray) -> tuple[int, int]:
    """Row and column of the dot, in the middle where the fill does not reach."""
    light = image[..., 0].astype(int) * (np.abs(image.astype(int) - FILL).max(2) > 30)
    return np.unravel_index(np.argmax(light), light.shape)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("bicubic", [False, True])
def test_rotate_turns_by_30_degrees_at_most(sign, bicubic):
    row, column = where(apply(dot(50, 80), "rotate", 10, sign, bicubic))
    assert row == pytest.approx(50 - sign * 30 * np.sin(np.pi / 6), abs=1.5)
    assert column == pytest.approx(50 + 30 * np.cos(np.pi / 6), abs=1.5)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("bicubic", [False, True])
def test_shear_shifts_each_row_by_three_tenths_of_its_height(sign, bicubic):
    row, column = where(apply(dot(40, 50), "shear_x", 10, sign, bicubic))
    assert row == pytest.approx(40, abs=1.5)
    assert column == pytest.approx(50 - sign * 12, abs=1.5)


@pytest.mark.parametrize("name", ["rotate", "shear_x"])
def test_geometry_fills_with_the_mean_colour_and_obeys_the_filter(name):
    linear, cubic = (apply(noise(100, 100), name, 9, 1, bicubic) for bicubic in (False, True))
    assert tuple(linear[-1, -1]) == tuple(cubic[-1, -1]) == FILL
    assert (linear != cubic).any()


def test_operations_are_applied_in_order():
    steps = [Operation("solarize", 4, 1, False), Operation("posterize", 0, 1, False)]
    one_by_one = apply_operations(apply_operations(noise(), steps[:1]), steps[1:])
    np.testing.assert_array_equal(apply_operations(noise(), steps), one_by_one)
    assert (apply_operations(noise(), steps[::-1]) != one_by_one).any()


def test_draws_follow_the_table():
    count = 6000
    drawn = [draw_operations(generator(5, "aa", i), 0.5) for i in range(count)]
    operations = [operation for draw in drawn for operation in draw]
    happened = Counter(operation.name for operation in operations)
    for name in OPERATIONS:
        expected = sum(p for policy in SUB_POLICIES for n, p, _ in policy if n == name) / 25 * count
        assert happened[name] == pytest.approx(expected, abs=4.5 * expected**0.5)
    magnitudes = np.array([operation.magnitude for operation in operations])
    assert magnitudes.min() >= 0
    assert magnitudes.max() <= 10
    shears = np.array([operation.magnitude for operation in operations if operation.name == "shear_x"])
    assert shears.mean() == pytest.approx(5, abs=0.2)
    assert shears.std() == pytest.approx(0.5, abs=0.15)
    assert np.mean([operation.sign for operation in operations]) == pytest.approx(0, abs=0.05)
    assert np.mean([operation.bicubic for operation in operations]) == pytest.approx(0.5, abs=0.03)


def test_draws_without_spread_have_the_table_s_magnitudes():
    table = {(name, magnitude) for policy in SUB_POLICIES for name, _, magnitude in policy}
    for i in range(200):
        for operation in draw_operations(generator(6, i), 0.0):
            assert (operation.name, operation.magnitude) in table
