"""Numbers from the whole way of a video, so that an upgrade of a library that changes one is seen."""

import hashlib
import json

import av
import numpy as np
import pytest
import torch
from samples import aligned_track, moving
from test_models import drawn_state

from dfdc.data.pictures.store import Store
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TestVideo as Video
from dfdc.data.schemas.videos import TrainingVideo
from dfdc.networks.inputs import IMAGENET
from dfdc.networks.weights.files import save_weights
from dfdc.stages.clips.cutting import extract_clips
from dfdc.stages.clips.settings.cutting import ClipSettings
from dfdc.stages.faces.tracking import interpolate
from dfdc.stages.prediction.crops import crop_test_faces
from dfdc.stages.prediction.ensemble import combine, confident
from dfdc.stages.prediction.scorer import Scorer, score
from dfdc.stages.prediction.settings.crops import CropSettings
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from published import published


def test_the_curve_that_makes_predictions_confident():
    given = [0.0, 0.1, 0.3, 0.45, 0.5, 0.55, 0.7, 0.9, 1.0]
    # 0.5 ± |p - 0.5| ** 0.65, then between 0.01 and 0.99
    expected = [0.01, 0.01, 0.148707, 0.357331, 0.5, 0.642669, 0.851293, 0.99, 0.99]
    np.testing.assert_allclose(confident(np.array(given), published(EnsembleSettings)), expected, atol=1e-6)


def write_lossless(path, frames, seed=0):
    """A video without loss, so that no encoder has a say in the numbers."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "bgr0"
        for picture in moving(frames, seed=seed):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def video(tmp_path):
    return write_lossless(tmp_path / "video.mkv", 60)


def test_the_clips_of_a_part_from_before_a_track_could_give_several(tmp_path):
    names = [write_lossless(tmp_path / f"{number}.mkv", 80, number).name for number in range(4)]
    boxes = [[35.0, 26.0, 75.0, 66.0]] * 13
    tracks = [
        aligned_track(names[0], fake, entries, fake_boxes=boxes[:entries])
        for fake, entries in zip(names[1:], (8, 12, 13), strict=True)
    ]
    videos = {name: TrainingVideo(name, width=128, height=96) for name in names}
    settings = published(ClipSettings, seed=5)
    rows = extract_clips(tmp_path, tracks, videos, tmp_path / "clips.arrow", settings, 6, 0.0)
    cut = [(row.clip, row.video, row.fake, row.first_frame, list(row.box), row.frames, row.sha256) for row in rows]
    assert settings.per_track == 1
    assert hashlib.sha256(json.dumps(cut).encode()).hexdigest() == GOLDEN_CLIPS


def test_the_score_of_a_video(video, tmp_path):
    boxes = np.float32([[20 + i, 20, 60 + i, 70 - i] for i in range(5)])
    track = interpolate(Track(video.name, 0, [0, 12, 24, 36, 48], boxes, [0.95] * 5), 2, 60)
    settings = CropSettings(1.5, 2, 14, 7, ("frame", "sequence"))
    store = tmp_path / "crops.arrow"
    videos = {video.name: Video(video.name, frames=60, in_order=True, width=128, height=96)}
    crops = crop_test_faces(video.parent, {video.name: [track]}, videos, store, settings, 0.05)

    probabilities = []
    for kind in ("frame", "sequence"):
        weights = tmp_path / f"{kind}.safetensors"
        about = {
            "architecture": "efficientnet-b0",
            "kind": kind,
            "crop": {"smaller_side": 64, "pad": False, "height": 64, "width": 56},
            "mean": IMAGENET.mean,
            "std": IMAGENET.std,
            "sequence_length": 7,
        }
        save_weights(weights, drawn_state("efficientnet-b0", kind), about, torch.float16)
        rows = score(crops, Store(store), Scorer(weights, torch.device("cpu"), "fp32"), 1, [0])
        probabilities.append([row.probability for row in rows])

    assert [len(found) for found in probabilities] == [13, 14]  # 25 kept frames: 13 faces, 2 windows of 7
    assert [np.mean(found) for found in probabilities] == pytest.approx(GOLDEN_MEANS, abs=2e-5)
    assert combine(np.concatenate(probabilities), published(EnsembleSettings)) == pytest.approx(GOLDEN_SCORE, abs=2e-4)


GOLDEN_CLIPS = "5254beeee8209458ef3815f474841c7eba2b055c6171f24efe41a85dc846fe76"
GOLDEN_MEANS = [0.478299, 0.50709]
GOLDEN_SCORE = 0.455578
