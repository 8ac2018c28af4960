import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from samples import pair_rows, write_clips, write_weights

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.store import Store
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.validation_scores import VALIDATION_SCORES
from dfdc.data.tables import read_table, write_table
from dfdc.networks.inputs import IMAGENET
from dfdc.networks.settings import CropPolicy
from dfdc.stages.evaluation import validation_clips as validation
from dfdc.stages.evaluation.validation_clips import ENCODING, conditions, score_validation_clips
from dfdc.stages.prediction.scorer import Scorer, prepared
from dfdc.stages.prediction.sharpness import sharpness
from dfdc.stages.prediction.yaw import landmark_detector, yaw
from dfdc.system.errors import UserError
from dfdc.video.recompression import Recompression, recompress

CPU = torch.device("cpu")
WORSE = {"fps": 15, "scale": 0.5, "crf": 35}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Clips of 12 frames, but the second fake has 9."""
    folder = tmp_path_factory.mktemp("validation")
    return {"part": write_clips(folder / "part.arrow", [12, 12, 12, 9], 64)}


@pytest.fixture(scope="module")
def scorers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    kinds = ("frame", "sequence")
    return {kind: Scorer(write_weights(folder / f"{kind}.safetensors", kind), CPU, "fp32") for kind in kinds}


def pairs():
    return [replace(row, frames=frames) for row, frames in zip(pair_rows(2, 12), (12, 9), strict=True)]


@pytest.mark.parametrize("kind", ["frame", "sequence"])
def test_frames_are_those_of_the_clips_as_in_prediction(stores, scorers, kind, tmp_path):
    frames = (2, 5, 10)
    rows = score_validation_clips(pairs(), stores, scorers[kind], frames, [WORSE])
    assert len(rows) == 2 * 2 * 2 * 3  # pairs, clips, conditions, frames
    store = Store(stores["part"])
    names = ["plain", "fps 15, scale 0.5, CRF 35"]
    assert list(conditions([WORSE])) == names
    for pair, label, clip, length in ((0, "REAL", 0, 12), (0, "FAKE", 1, 12), (1, "REAL", 2, 9), (1, "FAKE", 3, 9)):
        pictures = store.read(clip, range(length))
        draw = Recompression(15, 0.5, 35, "film")
        seen = {
            names[0]: [pictures[min(frame, length - 1)] for frame in frames],
            names[1]: list(recompress(pictures, draw, ENCODING, frames)),
        }
        for condition, wanted in seen.items():
            found = [row for row in rows if (row.clip, row.condition) == (clip, condition)]
            units = [wanted] if kind == "sequence" else [[picture] for picture in wanted]
            expected = np.concatenate(scorers[kind]([prepared(unit, scorers[kind].crop, False) for unit in units]))
            np.testing.assert_array_equal([row.probability for row in found], expected)
            assert [row.frame for row in found] == list(frames)
            seen_by_network = prepared(wanted, scorers[kind].crop, False)
            np.testing.assert_array_equal([row.sharpness for row in found], sharpness(seen_by_network))
            assert {(row.fake, row.label, row.height) for row in found} == {(f"fake{pair}.mp4", label, 64)}
    write_table(tmp_path / "scores.parquet", VALIDATION_SCORES, rows)
    assert read_table(tmp_path / "scores.parquet", VALIDATION_SCORES).num_rows == len(rows)


def test_how_far_faces_are_turned_is_told_of_plain_clips(scorers, sources, tmp_path, monkeypatch):
    faces = [cv2.cvtColor(cv2.imread(str(sources[name])), cv2.COLOR_BGR2RGB) for name in ("astronaut", "portrait-4")]
    faces = [cv2.resize(face, (120, 130), interpolation=cv2.INTER_AREA) for face in faces]
    clips = [[face, np.zeros_like(face)] for face in faces]  # a face, then none
    write_store(tmp_path / "part.arrow", ([encode_png(frame) for frame in clip] for clip in clips))

    class Undecided(torch.nn.Module):
        normalisation = IMAGENET

        def forward(self, pictures):
            return torch.zeros(len(pictures), 1)

    monkeypatch.setattr(scorers["frame"], "model", Undecided())
    monkeypatch.setattr(scorers["frame"], "crop", CropPolicy(112, False, 112, 104))
    stores = {"part": tmp_path / "part.arrow"}
    rows = score_validation_clips(pair_rows(1, 2), stores, scorers["frame"], (0, 1), [WORSE])
    seen = prepared(faces, scorers["frame"].crop, False)
    front, side = yaw(seen, landmark_detector()).tolist()
    assert front < 0.15 < 0.3 < side
    assert [(row.condition, row.yaw) for row in rows if row.label == "REAL"] == [
        *(("plain", front), ("plain", None)),
        *[("fps 15, scale 0.5, CRF 35", None)] * 2,
    ]
    assert [row.yaw for row in rows if row.label == "FAKE"] == [side, None, None, None]


def test_what_is_read_in_another_process_is_the_same(stores):
    clips = validation.Clips(pairs(), stores, (2, 5), tuple(conditions([WORSE]).items()), CropPolicy(48, False, 48, 40))
    elsewhere = pickle.loads(pickle.dumps(clips))
    for number in range(len(clips)):
        (height, seen), (other_height, others) = clips[number], elsewhere[number]
        assert height == other_height
        for name in seen:
            np.testing.assert_array_equal(seen[name], others[name])


def test_without_pairs(stores, scorers):
    assert score_validation_clips([], stores, scorers["frame"], (2,), [WORSE]) == []


def test_weights_of_windows_of_another_length(stores, scorers):
    with pytest.raises(UserError, match="windows of 3 frames"):
        score_validation_clips(pairs(), stores, scorers["sequence"], (2, 5), [])


def test_a_network_that_gives_no_numbers(stores, scorers, monkeypatch):
    class Silent(torch.nn.Module):
        normalisation = IMAGENET

        def forward(self, pictures):
            return torch.full((len(pictures), 1), torch.nan)

    monkeypatch.setattr(scorers["frame"], "model", Silent())
    with pytest.raises(UserError, match=r"not finite for some frames of the clips of fake0\.mp4"):
        score_validation_clips(pairs(), stores, scorers["frame"], (2,), [])
