import gzip
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from efficientnet_pytorch.utils import Conv2dStaticSamePadding
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.data.seeding import generator
from dfdc.networks.efficientnet import TemporalExpansion, inflate
from dfdc.networks.families import build_model, head_parameters, load_backbone, state_shapes
from dfdc.networks.settings import ARCHITECTURES, KINDS
from dfdc.system.errors import UserError

DATA = Path(__file__).parent / "data"


# B7 adds up fifty residual branches: their ends are damped, or its numbers would explode.
RESIDUAL = {"efficientnet-b7": 0.6}


def drawn_state(architecture, kind="frame"):
    """Weights that depend on their names alone, scaled so that signals neither vanish nor explode."""
    state = {}
    for name, shape in state_shapes(architecture, kind).items():
        values = generator(0, name).normal(size=shape)
        if name.endswith("num_batches_tracked"):
            values = np.zeros(shape, np.int64)
        elif len(shape) > 1:
            values = values * math.sqrt(2 / math.prod(shape[1:]))
        elif name.endswith("running_var") or ("_bn" in name and name.endswith("weight")):
            values = np.exp(0.1 * values)
        else:
            values = 0.1 * values
        if name.endswith("_bn2.weight"):
            values = RESIDUAL.get(architecture, 1.0) * values
        whole = name.endswith("num_batches_tracked")
        state[name] = torch.as_tensor(values, dtype=torch.int64 if whole else torch.float32)
    return state


def drawn_images(count, height, width):
    """Normalised images, each of another colour under its noise."""
    draw = generator(0, "images")
    images = draw.normal(size=(count, 3, height, width)) + 2 * draw.normal(size=(count, 3, 1, 1))
    return torch.tensor(images, dtype=torch.float32)


def same_convolution(self, x):
    """A convolution that pads for the size of the map it is given, as TensorFlow's SAME does."""
    pads = []
    for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
        pad = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        pads += [pad // 2, pad - pad // 2]
    return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, 1, self.groups)


def features(model, images):
    with torch.inference_mode():
        return model.eval().extract_features(images.contiguous(memory_format=torch.channels_last))


def test_b7_padding_is_same_padding_at_the_size_of_the_crops(monkeypatch):
    torch.manual_seed(1)
    model, images = build_model("efficientnet-b7", "frame", (224, 192)), drawn_images(1, 224, 192)
    static = features(model, images)
    monkeypatch.setattr(Conv2dStaticSamePadding, "forward", same_convolution)
    dynamic = features(model, images)
    assert static.shape == (1, 2560, 7, 6)
    assert static.std() > 0
    assert torch.equal(static, dynamic)


def test_padding_for_the_size_in_the_paper_would_be_wrong():
    """The trap that image_size is there for; without it the test above would prove nothing."""

    def paddings(size):
        with torch.device("meta"):
            model = build_model("efficientnet-b7", "frame", size)
        return [m for m in model.modules() if isinstance(m, Conv2dStaticSamePadding)]

    def shape(layer):
        return layer.padding, getattr(layer.static_padding, "padding", None)

    here, paper = paddings((224, 192)), paddings((600, 600))
    assert sum(shape(a) != shape(b) for a, b in zip(here, paper, strict=True)) == 1


def test_symmetric_padding_is_that_of_the_convolution():
    """An explicit one copies the input."""
    with torch.device("meta"):
        model = build_model("efficientnet-b7", "frame", (224, 192))
    layers = [layer for layer in model.modules() if isinstance(layer, Conv2dStaticSamePadding)]
    assert sum(layer.padding != (0, 0) for layer in layers) == 51
    assert sum(isinstance(layer.static_padding, torch.nn.ZeroPad2d) for layer in layers) == 5


@settings(deadline=None, max_examples=8)
@given(st.tuples(st.integers(32, 80), st.integers(32, 80)))
def test_padding_is_same_padding_at_any_size(size):
    model = build_model("efficientnet-lite0", "frame", size)
    images = drawn_images(1, *size)
    static = features(model, images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Conv2dStaticSamePadding, "forward", same_convolution)
        assert torch.equal(static, features(model, images))


def test_images_of_another_size_or_half_clips_are_refused():
    model = build_model("efficientnet-lite0", "sequence", (64, 32), sequence_length=4)
    with pytest.raises(ValueError, match=r"\(32, 64\), but the network is for \(64, 32\)"):
        model(torch.zeros(4, 3, 32, 64))
    with pytest.raises(ValueError, match="6 frames is not a multiple of 4"):
        model(torch.zeros(6, 3, 64, 32))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_has_one_output_of_its_width(name):
    widths = dict(zip(ARCHITECTURES, (1280, 1280, 1408, 1536, 1792, 2048, 2304, 2560, 1280), strict=True))
    assert state_shapes(name, "frame")["_fc.weight"] == (1, widths[name])
    squeezes = any("_se_" in key for key in state_shapes(name, "frame"))
    assert squeezes == (name != "efficientnet-lite0")


def test_b7_sequence_model_has_the_published_names_and_shapes():
    published = {}
    for line in gzip.decompress((DATA / "b7_sequence_state_dict.txt.gz").read_bytes()).decode().splitlines():
        name, *shape = line.split()
        published[name] = tuple(int(side) for side in shape)
    assert state_shapes("efficientnet-b7", "sequence") == published
    assert list(state_shapes("efficientnet-b7", "sequence")) == list(published)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_seven_equal_frames_through_a_temporal_convolution(memory_format):
    flat = torch.randn(24, 8, 1, 1, generator=torch.Generator().manual_seed(0))
    layer = TemporalExpansion(8, 24, 7)
    layer.load_state_dict({"conv.weight": inflate({"_blocks.1._expand_conv.weight": flat}).popitem()[1]}, strict=True)
    pictures = drawn_images(2, 5, 6).repeat(1, 3, 1, 1)[:, :8]
    clips = pictures.repeat_interleave(7, 0).contiguous(memory_format=memory_format)
    with torch.inference_mode():
        expected = F.conv2d(pictures, flat)
        result = layer(clips).view(2, 7, 24, 5, 6)
    for frame in range(7):
        share = 2 / 3 if frame in (0, 6) else 1
        torch.testing.assert_close(result[:, frame], expected * share, rtol=1e-5, atol=1e-5)


def test_a_temporal_convolution_sees_neighbours_in_time_of_the_same_clip_only():
    layer = TemporalExpansion(4, 6, 5)
    frames = drawn_images(10, 3, 2).repeat(1, 2, 1, 1)[:, :4]
    changed = frames.clone()
    changed[5] += 1  # the first frame of the second clip
    with torch.inference_mode():
        differs = [bool((a != b).any()) for a, b in zip(layer(frames), layer(changed), strict=True)]
    assert differs == [False] * 5 + [True, True, False, False, False]


def test_frames_of_a_clip_are_convolved_in_their_order():
    layer = TemporalExpansion(1, 1, 3)
    with torch.no_grad():
        layer.conv.weight.copy_(torch.tensor([100.0, 10.0, 1.0]).view(1, 1, 3, 1, 1))
        result = layer(torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1, 1))
    assert result.flatten().tolist() == [12, 123, 230]


def test_inflate_touches_the_expand_convolutions_alone():
    flat = drawn_state("efficientnet-lite0")
    inflated = inflate(flat)
    assert {name: tuple(value.shape) for name, value in inflated.items()} == state_shapes(
        "efficientnet-lite0", "sequence"
    )
    for name, value in inflated.items():
        if "_expand_conv" in name:
            torch.testing.assert_close(value.sum(2), flat[name.replace("conv.weight", "weight")])
        else:
            assert value is flat[name]


@pytest.mark.parametrize("kind", ["frame", "sequence"])
def test_pretrained_weights_go_into_a_model_but_for_its_head(kind):
    state = drawn_state("efficientnet-lite0")
    backbone = {name: value for name, value in state.items() if not name.startswith("_fc.")}
    model = build_model("efficientnet-lite0", kind, (32, 32))
    head = [parameter.clone() for parameter in head_parameters(model)]
    load_backbone(model, backbone)
    assert all(torch.equal(a, b) for a, b in zip(head, head_parameters(model), strict=True))
    loaded = model.state_dict()
    assert torch.equal(loaded["_conv_stem.weight"], state["_conv_stem.weight"])
    if kind == "sequence":
        kernel = loaded["_blocks.3._expand_conv.conv.weight"]
        assert torch.equal(kernel[:, :, 2], state["_blocks.3._expand_conv.weight"] / 3)
    with pytest.raises(RuntimeError, match=r"_bn1\.bias"):
        load_backbone(model, {name: value for name, value in backbone.items() if name != "_bn1.bias"})


def test_head_parameters_are_the_last_layer():
    model = build_model("efficientnet-b0", "sequence", (64, 64))
    assert [tuple(parameter.shape) for parameter in head_parameters(model)] == [(1, 1280), (1,)]
    assert {id(p) for p in head_parameters(model)} == {id(model._fc.weight), id(model._fc.bias)}


# Computed once with these weights and images; a change of any layer, order or activation moves them.
GOLDEN = {
    ("efficientnet-b0", "frame"): [0.20966, -0.08275, -0.0338, -0.07886, -0.08465, -0.07715, -0.08194],
    ("efficientnet-b0", "sequence"): [-0.03429, 0.04098, 0.04461, 0.05411, 0.02871, 0.01994, 0.00872],
    ("efficientnet-b7", "frame"): [0.37052, 0.37114, 0.38017, 0.37577, 0.37067, 0.37095, 0.37086],
    ("efficientnet-b7", "sequence"): [0.10712, 0.09385, 0.08783, 0.09033, 0.08843, 0.08716, 0.1593],
}


@pytest.mark.parametrize(("architecture", "kind"), GOLDEN)
def test_networks_give_the_numbers_they_always_gave(architecture, kind):
    model = build_model(architecture, kind, (64, 56)).eval()
    model.load_state_dict(drawn_state(architecture, kind))
    with torch.inference_mode():
        logits = model(drawn_images(7, 64, 56))
    assert logits.shape == (7, 1)
    np.testing.assert_allclose(logits.flatten(), GOLDEN[architecture, kind], rtol=0, atol=2e-5)


@pytest.mark.parametrize(("name", "kind"), [("efficientnet-b0", "sequence"), ("efficientnet-lite0", "frame")])
def test_a_training_step_reaches_every_parameter(name, kind):
    torch.manual_seed(0)
    model = build_model(name, kind, (64, 56))
    loss = F.binary_cross_entropy_with_logits(model(drawn_images(14, 64, 56)), torch.rand(14, 1))
    loss.backward()
    # Batch normalisation takes out the bias before it, so tiny gradients are right; none would be a fault.
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(p.grad.abs().max() > 0 for p in model.parameters())


@pytest.mark.parametrize(("name", "kind"), [("efficientnet-b0", "sequence"), ("efficientnet-lite0", "frame")])
def test_autocast_trains_and_agrees_within_its_precision(name, kind):
    model = build_model(name, kind, (64, 56))
    model.load_state_dict(drawn_state(name, kind))
    images = drawn_images(7, 64, 56)
    with torch.inference_mode():
        expected = model.eval()(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            halved = model(images)
    assert halved.dtype == torch.bfloat16
    assert (halved.float() - expected).abs().max() < 0.1 * expected.abs().max() + 0.05
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.train()(images).float().square().mean()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_images_may_come_in_either_memory_format():
    model = build_model("efficientnet-lite0", "sequence", (64, 56)).eval()
    images = drawn_images(7, 64, 56)
    with torch.inference_mode():
        assert torch.equal(model(images), model(images.contiguous(memory_format=torch.channels_last)))
    assert model._conv_head.weight.is_contiguous(memory_format=torch.channels_last)


def test_unknown_names_are_refused_with_the_choices():
    with pytest.raises(UserError, match=r"'efficientnet-b9'; choose one of efficientnet-b0.*lite0"):
        build_model("efficientnet-b9", "frame", (64, 64))
    with pytest.raises(UserError, match="'video'; choose one of frame, sequence"):
        build_model("efficientnet-b0", "video", (64, 64))
    assert set(KINDS) == {"frame", "sequence"}
