from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import lively_model, pair_rows, sample_settings, write_clips

from dfdc.data.pictures.store import Store
from dfdc.networks.inputs import IMAGENET, center_transform, normalise
from dfdc.stages.clips.reading import choose_pairs
from dfdc.stages.evaluation.metrics import auc, log_loss
from dfdc.stages.training.validation import ValidationSet, load_validation, measure_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    return {"part": write_clips(tmp_path_factory.mktemp("validation") / "part.arrow", [8] * 8)}


@pytest.mark.parametrize("kind", ["frame", "sequence"])
def test_the_clips_are_those_of_the_store_as_in_prediction(stores, kind):
    settings = sample_settings(kind, frames=(1, 3, 4))
    pairs = pair_rows(4, 8)
    found = load_validation(pairs, stores, settings, 1)
    assert found.labels.tolist() == [0, 1] * 4
    assert [len(clips) for clips in found.clips.values()] == [8, 8]
    for number, clip in enumerate(found.clips["plain"]):
        frames = Store(stores["part"]).read(number, (1, 3, 4))
        np.testing.assert_array_equal(clip, [center_transform(frame, settings.crop) for frame in frames])
    for plain, recompressed in zip(*found.clips.values(), strict=True):
        assert plain.shape == recompressed.shape
        assert 0 < np.abs(plain.astype(int) - recompressed).mean() < 60
    # Whatever the training's probability and seed, and the number of processes.
    never = replace(settings, seed=77, recompression=replace(settings.recompression, probability=0.0))
    again = load_validation(pairs, stores, never, 2)
    for clips in ("plain", "recompressed"):
        np.testing.assert_array_equal(again.clips[clips], found.clips[clips])


def test_measured_by_hand(stores):
    model = lively_model().train()
    settings = sample_settings("frame", frames=(1, 3, 4))
    validation = load_validation(pair_rows(4, 8), stores, settings, 1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rows = measure_model(model, validation, 7, CPU, "bf16")
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.eval()
    for row, clips in zip(rows, ("plain", "recompressed"), strict=True):
        with torch.no_grad():
            scores = [
                torch.sigmoid(model(normalise(torch.from_numpy(clip)))).mean().item()
                for clip in validation.clips[clips]
            ]
        assert (row.iteration, row.clips) == (7, clips)
        assert row.count == 8
        assert row.log_loss == pytest.approx(log_loss([0, 1] * 4, scores), rel=1e-4)
        assert row.auc == auc([0, 1] * 4, scores)


def test_a_model_that_knows_is_told_so():
    class Bright(torch.nn.Module):
        normalisation = IMAGENET

        def forward(self, pictures):
            return pictures.mean((1, 2, 3))[:, None] * 10

    dark, bright = np.zeros((2, 8, 8, 3), np.uint8), np.full((2, 8, 8, 3), 255, np.uint8)
    sets = {"plain": [dark, bright] * 3, "recompressed": [bright, dark] * 3}
    plain, recompressed = measure_model(Bright(), ValidationSet(sets), 1, CPU, "fp32")
    assert plain.auc == 1
    assert plain.log_loss < 1e-3
    assert recompressed.auc == 0
    assert recompressed.log_loss > 5


def test_the_choice_does_not_depend_on_the_order():
    rows = pair_rows(30, 8)
    chosen = choose_pairs(rows, 10)
    assert len(chosen) == 10
    assert choose_pairs(rows[::-1], 10) == chosen
    assert chosen != rows[:10]
    assert sorted(pair.fake for pair in choose_pairs(rows, 100)) == sorted(pair.fake for pair in rows)
