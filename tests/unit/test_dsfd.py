import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dfdc.data.seeding import generator
from dfdc.stages.faces.detection.dsfd.boxes import MAX_CANDIDATES, decode, prior_boxes, suppress
from dfdc.stages.faces.detection.dsfd.detector import DSFDDetector
from dfdc.stages.faces.detection.dsfd.folding import folded
from dfdc.stages.faces.detection.dsfd.inputs import network_input
from dfdc.stages.faces.detection.dsfd.network import DSFD, face_score
from dfdc.stages.faces.detection.dsfd.weights import load_dsfd
from dfdc.stages.faces.detection.resize import resize_to_area, resize_to_longer_side
from dfdc.system.errors import UserError
from dsfd import PUBLIC_STATE, seeded_state


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small maps gain nothing from more, and more of them wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def state():
    return seeded_state()


@pytest.fixture(scope="module")
def detector(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("dsfd") / "seeded.pth"
    torch.save(state, path)
    detector = DSFDDetector(path, resize="longer_side", size=128, threshold=0.6)
    path.unlink()  # 240 MB
    return detector


@pytest.fixture(scope="module")
def network(detector):
    return detector.networks[torch.float32]


def picture(height: int, width: int, topic: int = 0) -> np.ndarray:
    """A smooth random colour picture with some noise."""
    rng = generator(3, "picture", topic)
    y, x = np.mgrid[:height, :width][..., None] / 20
    waves = sum(np.sin(rng.normal(size=3) * x + rng.normal(size=3) * y + rng.uniform(0, 6, 3)) for _ in range(4))
    return np.clip(127 + 40 * waves + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)


def detect(detector: DSFDDetector, frames: list[np.ndarray]) -> list[np.ndarray]:
    return detector.detect([detector.prepare(frame) for frame in frames])


def as_input(*frames: np.ndarray) -> torch.Tensor:
    return network_input(list(frames), 1, torch.device("cpu"))


# Weights


def test_has_the_keys_and_shapes_of_the_public_weights():
    with torch.device("meta"):
        state = DSFD().state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == PUBLIC_STATE
    assert len(state) == 1126
    with torch.device("meta"):
        assert sum(p.numel() for p in DSFD().parameters()) == 120_058_406


def test_loads_half_precision_as_float32_for_evaluation(state, network):
    loaded = network.state_dict()
    assert loaded["layer3.0.7.conv2.weight"].dtype == torch.float32
    assert torch.equal(loaded["layer3.0.7.conv2.weight"].half(), state["layer3.0.7.conv2.weight"])
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_loads_single_precision_in_the_old_format(state, network, tmp_path):
    path = tmp_path / "old.pth"
    singles = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    torch.save(singles, path, _use_new_zipfile_serialization=False)
    loaded = load_dsfd(path).state_dict()
    path.unlink()  # 480 MB
    assert all(torch.equal(loaded[key], value) for key, value in network.state_dict().items())


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"no DSFD weights at .*absent\.pth.*WIDERFace_DSFD_RES152\.pth"):
        load_dsfd(tmp_path / "absent.pth")


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>Quota exceeded</html>", b"truncated"])
def test_unreadable_file(tmp_path, content):
    path = tmp_path / "bad.pth"
    if content == b"truncated":
        torch.save({"layer1.0.weight": torch.zeros(64, 3, 7, 7)}, path)
        content = path.read_bytes()[:-2000]
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.pth cannot be read.*incomplete"):
        load_dsfd(path)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    torch.save({"layer1.0.weight": Path("x")}, tmp_path / "object.pth")
    with pytest.raises(UserError, match="cannot be read as PyTorch weights"):
        load_dsfd(tmp_path / "object.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"_conv_stem.weight": torch.zeros(64, 3, 3, 3)},
            "conf.0.conv1.bias is missing;.*it is an EfficientNet",
        ),
        ({"module.layer1.0.weight": torch.zeros(64, 3, 7, 7)}, "1127 differences|DataParallel"),
        ({"vgg.0.weight": torch.zeros(64, 3, 3, 3)}, "VGG backbone"),
        ({"state_dict": {}}, "training checkpoint"),
        ({"whatever": torch.zeros(1)}, "belongs to another network"),
        ([torch.zeros(1)], "holds a list, not a dictionary"),
    ],
)
def test_weights_of_another_network(tmp_path, content, message):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match=f"other.pth does not hold the weights of DSFD.*({message})"):
        load_dsfd(tmp_path / "other.pth")


@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.complex64])
def test_weights_that_are_not_floating_point_are_refused(tmp_path, state, kind):
    light = {key: torch.zeros(()).expand(value.shape) for key, value in state.items()}
    light["loc.0.conv4.bias"] = torch.zeros(4, dtype=kind)
    torch.save(light, tmp_path / "kind.pth")
    with pytest.raises(UserError, match=rf"loc\.0\.conv4\.bias is 4 of {kind} .* instead of 4"):
        load_dsfd(tmp_path / "kind.pth")


def test_a_changed_byte_is_noticed(tmp_path):
    torch.save({"layer1.0.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "w.pth")
    content = bytearray((tmp_path / "w.pth").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"w\.pth cannot be read.*does not match its checksum"):
        load_dsfd(tmp_path / "w.pth")


def test_weights_that_nearly_fit_name_what_does_not(tmp_path, state):
    light = {key: torch.zeros(()).expand(value.shape) for key, value in state.items()}
    light["loc.0.conv4.weight"] = torch.zeros(1).expand(8, 256, 1, 1)
    light["conf.5.conv4.bias"] = 3
    light["extra"] = light.pop("latlayer1.bias")
    torch.save(light, tmp_path / "near.pth")
    with pytest.raises(UserError) as caught:
        load_dsfd(tmp_path / "near.pth")
    message = str(caught.value)
    assert "loc.0.conv4.weight is 8×256×1×1 instead of 4×256×1×1" in message
    assert "conf.5.conv4.bias is int instead of 8" in message
    assert "extra is unknown" in message
    assert "latlayer1.bias is missing" in message
    assert "more differences" not in message


# Priors, decoding, scores


def test_priors_by_hand():
    # Input 64 high, 128 wide; level 1 has stride 8 and size 32; the cell in row 2, column 5.
    found = prior_boxes(1, torch.tensor([2]), torch.tensor([5]), 64, 128)
    expected = [5.5 * 8 / 128, 2.5 * 8 / 64, 32 / 1.22474487 / 128, 32 * 1.22474487 / 64]
    np.testing.assert_allclose(found.numpy(), [expected], rtol=1e-6)


def test_priors_are_clipped_to_the_input():
    # Level 5 (stride 128, size 512) on an input of 100 x 130: centres and sides beyond the border.
    found = prior_boxes(5, torch.tensor([0, 0]), torch.tensor([0, 1]), 100, 130)
    np.testing.assert_allclose(found.numpy(), [[64 / 130, 0.64, 1, 1], [1, 0.64, 1, 1]], rtol=1e-6)


def test_decode_by_hand():
    prior = torch.tensor([[0.5, 0.25, 0.2, 0.4]])
    np.testing.assert_allclose(decode(torch.zeros(1, 4), prior).numpy(), [[0.4, 0.05, 0.6, 0.45]], atol=1e-7)
    offsets = torch.tensor([[1.0, -2.0, 5 * math.log(2), 5 * math.log(0.5)]])
    # Centre (0.5 + 0.1 * 0.2, 0.25 - 0.2 * 0.4), sides doubled and halved.
    np.testing.assert_allclose(decode(offsets, prior).numpy(), [[0.32, 0.07, 0.72, 0.27]], atol=1e-6)


def test_scores_take_the_largest_of_three_maps():
    maps = torch.tensor([1.0, 4.0, -2.0, 3.0, 99.0, 99.0]).reshape(1, 6, 1, 1)
    face_is_last = math.exp(3) / (math.exp(3) + math.exp(4))
    assert face_score(maps, 0).item() == pytest.approx(face_is_last)
    for level in range(1, 6):
        assert face_score(maps, level).item() == pytest.approx(1 - face_is_last)


# Suppression

coordinate = st.integers(0, 12)


@st.composite
def faces(draw):
    corner_and_side = draw(arrays(np.float32, (draw(st.integers(0, 25)), 4), elements=coordinate))
    scores = draw(arrays(np.float32, len(corner_and_side), elements=st.integers(0, 20)))
    corners = corner_and_side[:, :2]
    return np.column_stack((corners, corners + corner_and_side[:, 2:], scores / 20)).astype(np.float32)


def naive_suppress(faces):
    kept = []
    for face in sorted(faces.tolist(), key=lambda row: -row[4]):
        for other in kept:
            width = max(0, min(face[2], other[2]) - max(face[0], other[0]))
            height = max(0, min(face[3], other[3]) - max(face[1], other[1]))
            areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (face, other)]
            union = sum(areas) - width * height
            if union > 0 and width * height / union > 0.3 + 1e-7:
                break
        else:
            kept.append(face)
    return np.array(kept, np.float32).reshape(-1, 5)


@settings(deadline=None, max_examples=200)
@given(faces())
def test_suppression_equals_the_naive_one(faces):
    np.testing.assert_array_equal(suppress(faces), naive_suppress(faces))


@settings(deadline=None, max_examples=100)
@given(faces(), st.integers(0, 20))
def test_a_threshold_before_suppression_equals_one_after_it(faces, threshold):
    kept = suppress(faces)
    np.testing.assert_array_equal(suppress(faces[faces[:, 4] > threshold / 20]), kept[kept[:, 4] > threshold / 20])


def test_suppression_is_limited_to_the_best():
    count = MAX_CANDIDATES + 10
    x = np.arange(count, dtype=np.float32) * 2
    apart = np.stack((x, x, x + 1, x + 1, np.linspace(0, 1, count)), axis=1).astype(np.float32)
    np.testing.assert_array_equal(suppress(apart), apart[::-1][:MAX_CANDIDATES])


# Inputs


@pytest.mark.parametrize(
    ("height", "width", "sides"),
    [(1080, 1920, (384, 683)), (1920, 1080, (683, 384)), (240, 320, (443, 591)), (512, 512, (512, 512))],
)
def test_area_rule(height, width, sides):
    resized = resize_to_area(np.zeros((height, width, 3), np.uint8), 512)
    assert resized.image.shape == (*sides, 3)
    assert resized.scale == (math.sqrt(512 * 512 / (height * width)),) * 2


@pytest.mark.parametrize(
    ("height", "width", "sides", "padded"),
    [
        (1080, 1920, (288, 512), (288, 512)),
        (600, 800, (384, 512), (384, 512)),
        (1000, 301, (512, 154), (512, 160)),
    ],
)
def test_longer_side_rule(height, width, sides, padded):
    resized = resize_to_longer_side(np.full((height, width, 3), 9, np.uint8), 512)
    assert resized.image.shape == (*sides, 3)
    batch = network_input([resized.image] * 2, 32, torch.device("cpu"))
    assert batch.shape == (2, 3, *padded)
    assert (batch[..., sides[0] :, :] == 0).all()
    assert (batch[..., sides[1] :] == 0).all()
    assert (batch[:, 0, : sides[0], : sides[1]] == 9 - 104).all()


def test_network_input_is_bgr_less_its_mean():
    frame = np.full((4, 6, 3), (200, 150, 50), np.uint8)  # red, green, blue
    assert as_input(frame)[0, :, 0, 0].tolist() == [50 - 104, 150 - 117, 200 - 123]


class BrightArea(torch.nn.Module):
    """In place of the network: finds the bright rectangle in each image, exactly."""

    def forward(self, images, threshold):
        assert torch.is_inference_mode_enabled()
        height, width = images.shape[-2:]
        boxes = []
        for bright in images.amin(dim=1) > 0:
            y, x = torch.nonzero(bright, as_tuple=True)
            corners = (x.min() / width, y.min() / height, (x.max() + 1) / width, (y.max() + 1) / height)
            boxes.append(torch.stack(corners))
        return torch.arange(len(images)), torch.stack(boxes), torch.full((len(images),), 0.9)


@pytest.mark.parametrize("rule", ["area", "longer_side"])
@pytest.mark.parametrize("shape", [(1080, 1920), (1920, 1080), (240, 320), (333, 1000), (1000, 333)])
def test_boxes_come_back_in_pixels_of_the_frame(detector, monkeypatch, tmp_path, rule, shape):
    monkeypatch.setattr("dfdc.stages.faces.detection.dsfd.detector.load_dsfd", lambda _: BrightArea())
    finder = DSFDDetector(tmp_path, resize=rule)
    frames, boxes = [], []
    for x, y, width, height in ((30, 60, 100, 120), (200, 20, 110, 150)):
        frame = np.zeros((*shape, 3), np.uint8)
        frame[y : y + height, x : x + width] = 255
        frames.append(frame)
        boxes.append((x, y, x + width, y + height))
    for found, box in zip(detect(finder, frames), boxes, strict=True):
        assert found.dtype == np.float32
        # A border pixel of the network's size may count or not; it is up to 4 pixels of the frame.
        np.testing.assert_allclose(found, [[*box, 0.9]], atol=4)


# The network with seeded weights


def test_levels_shrink_by_their_strides(network):
    with torch.inference_mode():
        shapes = [tuple(f.shape) for f in network.features(as_input(picture(97, 131)))]
    assert shapes == [(1, 512, math.ceil(97 / s), math.ceil(131 / s)) for s in (4, 8, 16, 32, 64, 128)]


def test_only_images_with_faces_are_decoded_and_nothing_changes_by_that(network):
    frames = [picture(96, 128, topic) for topic in range(3)]
    frames[1][:] = 0
    with torch.inference_mode():
        image, boxes, score = network(as_input(*frames), 0.9)
        assert 0 < len(score) < len(frames) * 100
        for index, frame in enumerate(frames):
            _, all_boxes, all_scores = network(as_input(frame), -1.0)
            assert len(all_scores) == 32 * 24 + 16 * 12 + 8 * 6 + 4 * 3 + 2 * 2 + 1
            torch.testing.assert_close(boxes[image == index], all_boxes[all_scores > 0.9], rtol=0, atol=1e-5)
            torch.testing.assert_close(score[image == index], all_scores[all_scores > 0.9], rtol=0, atol=1e-5)


def test_golden_numbers(network):
    # Computed once by this implementation in float32: a guard against unnoticed change. Orders of summation
    # differ among processors; hence the tolerance.
    with torch.inference_mode():
        _, boxes, score = network(as_input(picture(64, 96)), -1.0)
    assert len(score) == 513
    picked = torch.cat((boxes, score[:, None]), dim=1)[list(GOLDEN)]
    np.testing.assert_allclose(picked.numpy(), list(GOLDEN.values()), atol=1e-4)


# Row of the output: x1, y1, x2, y2, score. At least one row of each level.
GOLDEN = {
    0: (-0.046828, -0.125598, 0.089081, 0.186436, 0.450147),
    200: (0.286569, 0.375091, 0.424722, 0.692825, 0.282342),
    390: (0.406345, -0.245088, 0.685187, 0.361611, 0.162720),
    479: (0.824548, 0.629663, 1.102221, 1.236704, 0.495339),
    490: (0.468710, -0.181929, 0.975034, 0.905109, 0.131915),
    503: (0.651181, 0.389417, 1.174213, 1.397647, 0.668762),
    506: (0.351045, -0.249341, 1.292569, 0.758117, 0.062713),
    510: (-0.173479, -0.008172, 0.835708, 1.007582, 0.629944),
    512: (0.166182, 0.491757, 1.172238, 1.503477, 0.507756),
}


@pytest.fixture(scope="module")
def rough(network):
    return folded(network, torch.bfloat16)


def test_folded_batch_norms_change_only_the_last_bits(network, astronaut):
    before = network.layer1[0].weight.clone()
    copied = folded(network, torch.float32)
    assert not [module for module in copied.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert network.state_dict().keys() == PUBLIC_STATE.keys()
    assert torch.equal(network.layer1[0].weight, before)
    images = as_input(np.ascontiguousarray(astronaut[60:188, 140:300]))
    with torch.inference_mode():
        for feature, expected in zip(copied.features(images), network.features(images), strict=True):
            assert (feature - expected).abs().max() < 1e-4 * expected.abs().max()
        (_, boxes, score), (_, expected_boxes, expected_score) = (each(images, -1.0) for each in (copied, network))
    assert (boxes - expected_boxes).abs().max() < 1e-4
    assert (score - expected_score).abs().max() < 1e-4
    assert not torch.equal(score, expected_score), "nothing was folded"


@pytest.mark.parametrize(("seen", "boxes_that_both_keep"), [("waves", 500), ("face", 400)])
def test_bfloat16_is_close_to_float32(network, rough, astronaut, seen, boxes_that_both_keep):
    # The face is one of the demo's, at a size at which the test is quick.
    images = as_input(picture(128, 160) if seen == "waves" else np.ascontiguousarray(astronaut[60:188, 140:300]))
    with torch.inference_mode():
        _, boxes, score = network(images, -1.0)
        _, rough_boxes, rough_score = rough(images.bfloat16(), -1.0)
    assert (rough_score - score).abs().mean() < 0.01
    assert (rough_score - score).abs().max() < 0.3
    both = (score > 0.3) & (rough_score > 0.3)
    assert both.sum() > boxes_that_both_keep
    pixels = (rough_boxes - boxes).abs() * torch.tensor([160, 128, 160, 128])
    assert pixels[both].max() < 1
    assert pixels[both].max() > 0, "it was computed in float32"


# The detector


def test_detects_each_frame_alone_whatever_comes_with_it(detector):
    frames = [picture(90, 160, 1), picture(160, 90, 2), picture(90, 160, 1)]
    together = detect(detector, frames)
    assert len(together) == 3
    for found, frame in zip(together, frames, strict=True):
        np.testing.assert_array_equal(found, detect(detector, [frame])[0])
        assert found.shape[1] == 5
        assert found.dtype == np.float32
        assert len(found) > 0
        assert (found[:, 4] > 0.6).all()
        assert (np.diff(found[:, 4]) <= 0).all()
    np.testing.assert_array_equal(together[0], together[2])
    assert detect(detector, []) == []


def test_batches_give_the_same_faces(detector, monkeypatch):
    frames = [picture(90, 160, topic) for topic in range(3)]
    alone = detect(detector, frames)
    monkeypatch.setattr(detector, "batch_size", 2)
    for found, expected in zip(detect(detector, frames), alone, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-2)


def test_a_frame_without_faces(detector, monkeypatch):
    monkeypatch.setattr(detector, "threshold", 1.0)
    (found,) = detect(detector, [picture(90, 160)])
    assert found.shape == (0, 5)
    assert found.dtype == np.float32


def test_tiny_and_narrow_frames(detector):
    for shape in ((1, 1), (2, 500), (500, 3)):
        assert detect(detector, [picture(*shape)])[0].shape[1] == 5


@pytest.mark.parametrize("head", ["conf", "loc"])
def test_damaged_weights_are_told_from_pictures_without_faces(detector, network, head):
    bias = getattr(network, head)[2].conv4.bias
    value = bias[0].item()
    bias[0] = math.nan
    try:
        with pytest.raises(UserError, match=r"not finite.*seeded\.pth"):
            detect(detector, [picture(90, 160)])
    finally:
        bias[0] = value


class NarrowRange(torch.nn.Module):
    """In place of both networks: the numbers do not fit half precision."""

    def forward(self, images, threshold):
        if images.dtype == torch.float16:
            raise FloatingPointError
        return torch.zeros(1, dtype=torch.long), torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([0.8])


def test_overflow_in_half_precision_is_computed_again_in_single(detector, monkeypatch):
    monkeypatch.setattr(detector, "networks", {dtype: NarrowRange() for dtype in (torch.float16, torch.float32)})
    np.testing.assert_allclose(detect(detector, [picture(100, 200)])[0], [[0, 0, 200, 100, 0.8]], rtol=1e-6)
