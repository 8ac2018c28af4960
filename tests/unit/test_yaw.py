import cv2
import numpy as np
import pytest

from dfdc.stages.prediction.yaw import landmark_detector, nose_offset, yaw

EYES_NOSE = np.array([[10, 20], [50, 20], [30, 45]], np.float32)


@pytest.fixture(scope="module")
def detector():
    return landmark_detector()


@pytest.fixture(scope="module")
def photos(sources):
    """RGB pictures by name."""
    names = ("astronaut", "portrait-3", "portrait-4")
    return {name: cv2.cvtColor(cv2.imread(str(sources[name])), cv2.COLOR_BGR2RGB) for name in names}


def moved(nose):
    return np.array([*EYES_NOSE[:2], nose], np.float32)


def test_the_offset_of_the_nose_is_in_distances_between_the_eyes():
    assert nose_offset(EYES_NOSE) == 0
    # How far down the nose is does not count; below the second eye it is half a distance away, beyond it more.
    assert nose_offset(moved((30, 90))) == 0
    assert nose_offset(moved((50, 45))) == 0.5
    assert nose_offset(moved((20, 45))) == -0.25
    assert nose_offset(moved((70, 45))) == 1
    assert np.isnan(nose_offset(np.tile(np.float32(7), (5, 2))))


def test_the_offset_depends_neither_on_size_nor_on_roll():
    turned = moved((42, 45))
    assert nose_offset(turned) == pytest.approx(0.3)
    for degrees in (15, 90, 200):
        matrix = cv2.getRotationMatrix2D((3, 80), degrees, 2.5)
        rolled = cv2.transform(turned[:, None], matrix)[:, 0]
        assert nose_offset(rolled) == pytest.approx(0.3, abs=1e-6)


def test_a_face_in_three_quarter_view_is_further_turned_than_from_the_front(detector, photos):
    front, other, side = yaw([photos["astronaut"], photos["portrait-3"], photos["portrait-4"]], detector)
    assert max(front, other) < 0.1
    assert 0.3 < side < 0.7


def test_a_mirrored_face_is_as_far_turned(detector, photos):
    faces = [photos[name] for name in ("astronaut", "portrait-4")]
    found = yaw([*faces, *(cv2.flip(face, 1) for face in faces)], detector)
    np.testing.assert_array_equal(found[:2], found[2:])


def test_of_several_faces_that_in_the_middle_counts(detector, photos):
    """As cut from a photo with another face beside it, whichever is found with a higher score."""
    front, side = (cv2.resize(photos[name], (200, 200)) for name in ("astronaut", "portrait-4"))
    alone = yaw([front, side], detector)
    for middle, expected in ((0, alone[0]), (1, alone[1])):
        faces = [(front, side), (side, front)][middle]
        picture = np.hstack([faces[1][:, 40:], faces[0], faces[1][:, :160]])
        assert yaw([picture], detector)[0] == pytest.approx(expected, abs=0.12)


def test_without_a_face_it_is_unknown(detector):
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    assert np.isnan(yaw([noise, np.zeros_like(noise)], detector)).all()
    assert len(yaw([], detector)) == 0
