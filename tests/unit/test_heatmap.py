"""Heat maps: that they add up to what the network says, and how they are drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from samples import lively_model, write_weights

from dfdc.figures.scored.heatmap import FAKE, REAL, coloured, contributions, heat_mapper
from dfdc.networks.families import build_model
from dfdc.networks.weights.find import Member

CROP = {"smaller_side": 64, "height": 64, "width": 96, "pad": True}
MODEL = {"architecture": "efficientnet-lite0", "kind": "frame", "crop": CROP}


def test_the_contributions_of_the_cells_are_the_logit():
    model = build_model("efficientnet-lite0", "frame", (64, 96)).eval()
    model.load_state_dict(lively_model().state_dict())
    images = torch.randn(3, 3, 64, 96)
    cells = contributions(model, images)
    assert cells.shape == (3, 2, 3)
    assert cells.std(dim=(1, 2)).min() > 0
    with torch.inference_mode():
        logits = model(images).squeeze(1)
    torch.testing.assert_close(cells.mean((1, 2)) + model._fc.bias, logits, rtol=1e-4, atol=1e-4)


def test_cells_for_fake_and_for_real_have_the_colours_of_all_figures():
    face = np.full((80, 80, 3), 128, np.uint8)
    drawn = coloured(face, np.array([[1.0, -1.0], [0.0, 0.0]])).astype(int)
    assert np.abs(drawn[0, 0] - (0.3 * 128 + 0.7 * FAKE)).max() <= 1
    assert np.abs(drawn[0, -1] - (0.3 * 128 + 0.7 * REAL)).max() <= 1
    assert np.abs(drawn[-1] - 128).max() <= 1


def test_a_face_is_drawn_as_the_network_sees_it(tmp_path):
    heat = heat_mapper([Member("re", write_weights(tmp_path / "a.safetensors"), MODEL)], torch.device("cpu"))
    faces = [np.random.default_rng(seed).integers(0, 255, (70, 50 + seed, 3), np.uint8) for seed in range(2)]
    drawn = heat(faces)
    assert [picture.shape for picture in drawn] == [(64, 96, 3)] * 2
    assert max((np.ptp(picture.astype(int), axis=2)).max() for picture in drawn) > 50  # grey, but for the colours


@pytest.mark.parametrize("kinds", [[], ["sequence"]])
def test_there_are_none_without_a_model_for_single_frames(kinds):
    members = [Member("seq", Path("a.pth"), MODEL | {"kind": kind}) for kind in kinds]
    assert heat_mapper(members, torch.device("cpu")) is None
