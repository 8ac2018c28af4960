"""Architectures of timm, with timm, which `make test-timm` installs. The networks are the smallest that it has."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import timm
from dfdc.networks.families import build_model, head_parameters, load_backbone, state_shapes
from dfdc.networks.inputs import normalise
from dfdc.networks.weights.export import export_weights
from dfdc.networks.weights.files import read_weights_metadata, save_weights
from dfdc.networks.weights.load import load_weights
from dfdc.networks.weights.pretrained import load_pretrained
from dfdc.stages.prediction.scorer import Scorer, prepared
from dfdc.system.errors import UserError

SMALL = ("test_convnext", "test_resnet", "test_efficientnet", "resnet10t")
CROP = {"smaller_side": 56, "pad": True, "height": 64, "width": 56}


def pictures(count):
    return np.random.default_rng(0).integers(0, 256, (count, 64, 56, 3), np.uint8)


@pytest.mark.parametrize("name", SMALL)
def test_a_frame_network_is_timms_with_one_output(name):
    model = build_model(f"timm/{name}", "frame", (64, 56)).eval()
    images = torch.randn(3, 3, 64, 56)
    assert torch.equal(model(images), model.network(images))
    assert model(images).shape == (3, 1)
    assert {tuple(value.shape) for value in head_parameters(model)} == {(1, model.network.head_hidden_size), (1,)}
    assert state_shapes(f"timm/{name}", "frame") == {key: tuple(v.shape) for key, v in model.state_dict().items()}


@pytest.mark.parametrize("name", SMALL)
def test_a_sequence_network_averages_the_features_of_each_window(name):
    model = build_model(f"timm/{name}", "sequence", (64, 56), 3).eval()
    images = torch.randn(6, 3, 64, 56)
    out = model(images)
    features = model.network.forward_head(model.network.forward_features(images), pre_logits=True)
    for window in (slice(0, 3), slice(3, 6)):
        expected = model.network.get_classifier()(features[window].mean(0, keepdim=True))
        assert torch.allclose(out[window], expected.expand(3, 1), atol=1e-5)
    assert not torch.allclose(out[0], out[3])
    with pytest.raises(ValueError, match="multiple of 3"):
        model(images[:4])


@pytest.mark.parametrize("kind", ["frame", "sequence"])
def test_a_training_starts_from_timms_file(tmp_path, kind):
    torch.manual_seed(0)
    theirs = timm.create_model("test_resnet", pretrained=False).eval()
    file = tmp_path / "model.safetensors"
    save_file(theirs.state_dict(), file)
    model = build_model("timm/test_resnet", kind, (64, 56), 3).eval()
    head = [value.clone() for value in head_parameters(model)]
    load_backbone(model, load_pretrained(file, "timm/test_resnet"))
    images = torch.randn(3, 3, 64, 56)
    assert torch.equal(model.network.forward_features(images), theirs.forward_features(images))
    assert all(torch.equal(a, b) for a, b in zip(head, head_parameters(model), strict=True))
    with pytest.raises(UserError, match=r"these are not pretrained weights of timm/resnet10t.*another shape"):
        load_pretrained(file, "timm/resnet10t")
    with pytest.raises(UserError, match="these are not pretrained weights of efficientnet-b0"):
        load_pretrained(file, "efficientnet-b0")


def test_scores_are_those_of_the_network_with_its_own_normalisation(tmp_path):
    torch.manual_seed(0)
    name = "timm/test_convnext"
    model = build_model(name, "frame", (64, 56)).eval()
    save_weights(tmp_path / "w.safetensors", model.state_dict(), {"architecture": name, "kind": "frame"})
    entry = {"architecture": name, "kind": "frame", "crop": CROP, "frames": [0], "seed": 0, "erasing": 0.0}
    export_weights(tmp_path / "w.safetensors", "re", entry, tmp_path / "e.safetensors", own=True)
    assert read_weights_metadata(tmp_path / "e.safetensors")["mean"] == [0.5, 0.5, 0.5]

    faces = pictures(4)
    scorer = Scorer(tmp_path / "e.safetensors", torch.device("cpu"), "fp32")
    scores = np.concatenate(scorer([prepared([face], scorer.crop, flip=False) for face in faces]))
    half = load_weights(tmp_path / "e.safetensors", name, "frame", own=True)
    model.load_state_dict(half)
    with torch.inference_mode():
        expected = torch.sigmoid(model((torch.from_numpy(faces).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5)).squeeze(1)
        other = torch.sigmoid(model(normalise(torch.from_numpy(faces)))).squeeze(1)
    assert np.allclose(scores, expected, atol=1e-5)
    assert not np.allclose(scores, other, atol=1e-3)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"has no model 'resnet10x' \(timm/resnet10x\)\. Similar ones: timm/resnet10t"):
        build_model("timm/resnet10x", "frame", (64, 56))
    with pytest.raises(UserError, match="images of one size only"):
        build_model("timm/test_vit", "frame", (64, 56))
