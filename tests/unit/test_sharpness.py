import cv2
import numpy as np
from samples import moving

from dfdc.stages.prediction.sharpness import sharpness


def test_blurred_pictures_are_less_sharp():
    (picture,) = moving(1, 96, 96)
    noise = np.random.default_rng(0).integers(0, 256, picture.shape, np.uint8)
    found = sharpness([noise, cv2.GaussianBlur(noise, (0, 0), 1), cv2.GaussianBlur(noise, (0, 0), 3), picture // 255])
    assert (np.diff(found) < 0).all()
    assert sharpness([np.full((9, 9, 3), 200, np.uint8)]) == 0
    # A mirrored face is as sharp, and one of half the contrast a quarter as sharp.
    even = noise & 254
    one, mirrored, half = sharpness([even, cv2.flip(even, 1), even // 2])
    assert np.isclose(one, mirrored, rtol=1e-9)
    assert np.isclose(one / 4, half, rtol=0.02)
    assert len(sharpness([])) == 0


def test_it_is_the_variance_of_the_laplacian():
    step = np.zeros((4, 6, 3), np.uint8)
    step[:, 3:] = 40
    # Of each row: 0, 0, 40, -40, 0, 0 (borders are mirrored).
    assert np.isclose(sharpness([step])[0], 2 * 40**2 / 6)
