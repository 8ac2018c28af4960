import time
from dataclasses import asdict

import numpy as np
import pytest
import torch
from samples import moving, write_video, write_weights

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.store import Store
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.crops import Crop
from dfdc.data.schemas.scores import SCORES
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TestVideo as Video
from dfdc.data.tables import write_table
from dfdc.networks.families import build_model, load_backbone
from dfdc.networks.inference import inference_type
from dfdc.networks.inputs import center_transform, normalise
from dfdc.networks.settings import CropPolicy
from dfdc.networks.weights.files import save_weights
from dfdc.networks.weights.pretrained import lite0_file, load_pretrained
from dfdc.stages.prediction import scorer as scorer_module
from dfdc.stages.prediction.crops import crop_test_faces
from dfdc.stages.prediction.scorer import AHEAD, BATCH, Scorer, prepared, score
from dfdc.stages.prediction.settings.crops import CropSettings
from dfdc.system.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Faces of two videos, one of which has two tracks: rows of their table, and their store."""
    folder = tmp_path_factory.mktemp("crops")

    def track(video, number, kept, first=0):
        boxes = np.float32([[20 + n, 10, 60 + n, 50] for n in range(kept)])
        return Track(video, number, [first + 2 * n for n in range(kept)], boxes, [None] * kept)

    tracks = {
        "a.mp4": [track("a.mp4", 0, 30), track("a.mp4", 1, 8, first=20)],
        "b.mp4": [track("b.mp4", 0, 16)],
    }
    videos = {name: Video(name, frames=62, in_order=True, width=128, height=96) for name in tracks}
    for seed, name in enumerate(tracks, 1):
        write_video(folder / name, moving(62, seed=seed))
    settings = CropSettings(1.5, 2, 14, 7, ("frame", "sequence"))
    path = folder / "s.arrow"
    return crop_test_faces(folder, tracks, videos, path, settings, 0.0), Store(path)


@pytest.fixture(scope="module")
def frame_scorer(tmp_path_factory):
    return Scorer(write_weights(tmp_path_factory.mktemp("weights") / "w.safetensors"), CPU, "fp32")


@pytest.fixture(scope="module")
def sequence_scorer(tmp_path_factory):
    return Scorer(write_weights(tmp_path_factory.mktemp("weights") / "w.safetensors", "sequence", 7), CPU, "fp32")


def probabilities(scorer, pictures, flip):
    """What the network says, without the program's own batches."""
    batch = np.stack([center_transform(picture, scorer.crop, flip) for picture in pictures])
    with torch.no_grad():
        return torch.sigmoid(scorer.model(normalise(torch.from_numpy(batch))))[:, 0].numpy()


@pytest.mark.parametrize("take", [[0, 1], [2, 3]])
def test_frame_models_share_the_faces_and_every_other_is_flipped(crops, frame_scorer, tmp_path, take):
    rows, store = crops
    scores = score(rows, store, frame_scorer, 4, take)
    write_table(tmp_path / "scores", SCORES, scores)
    looked_at = [row for row in rows if row.kind == "frame" and row.ordinal % 4 in take]
    assert [(row.video, row.track, row.frame) for row in scores] == [
        (row.video, row.track, row.frames[0]) for row in looked_at
    ]
    of_first_track = [row.frame for row in scores if (row.video, row.track) == ("a.mp4", 0)]
    # Every second of the kept frames is a face: 0, 4, 8, 12, …; two of each four are this model's.
    assert of_first_track[:4] == ([0, 4, 16, 20] if take == [0, 1] else [8, 12, 24, 28])
    differences = []
    for found, row in zip(scores, looked_at, strict=True):
        pictures = store.read(row.batch)
        as_is, mirrored = (probabilities(frame_scorer, pictures, flip)[0] for flip in (False, True))
        first_is_flipped = mirrored if row.ordinal % 2 == 0 else as_is
        assert found.probability == pytest.approx(first_is_flipped, abs=1e-4)
        differences.append(abs(as_is - mirrored))
    assert np.median(differences) > 1e-3  # or the test above could not tell


def test_sequence_models_give_a_probability_for_each_frame_of_a_window(crops, sequence_scorer):
    rows, store = crops
    scores = score(rows, store, sequence_scorer, 1, [0])
    windows = [row for row in rows if row.kind == "sequence"]
    assert [(row.video, row.track, row.frame) for row in scores] == [
        (row.video, row.track, frame) for row in windows for frame in row.frames
    ]
    for number, row in enumerate(windows):
        expected = probabilities(sequence_scorer, store.read(row.batch), row.ordinal % 2 == 0)
        found = [one.probability for one in scores[7 * number : 7 * number + 7]]
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert {row.ordinal % 2 for row in windows} == {0, 1}


def test_a_score_depends_on_its_own_video_alone(crops, frame_scorer):
    rows, store = crops
    together = score(rows, store, frame_scorer, 1, [0])
    for video in ("a.mp4", "b.mp4"):
        alone = score([row for row in rows if row.video == video], store, frame_scorer, 1, [0])
        assert alone == [row for row in together if row.video == video]
    assert score([], store, frame_scorer, 1, [0]) == []


def test_more_pictures_than_a_batch_holds(frame_scorer, sequence_scorer):
    pictures = moving(BATCH + 5, 40, 50)
    found = frame_scorer([prepared([picture], frame_scorer.crop, False) for picture in pictures])
    assert [one.shape for one in found] == [(1,)] * len(pictures)
    np.testing.assert_allclose(np.concatenate(found), probabilities(frame_scorer, pictures, False), atol=1e-4)
    windows = [pictures[start : start + 7] for start in range(0, 60)]
    found = sequence_scorer([prepared(window, sequence_scorer.crop, False) for window in windows])
    for number in (0, 8, 9, 10, 59):  # nine windows fill a batch
        np.testing.assert_allclose(found[number], probabilities(sequence_scorer, windows[number], False), atol=1e-4)


def test_no_more_than_a_batch_of_faces_is_held(tmp_path, frame_scorer):
    """And yet the numbers are those of all faces at once."""
    pictures = moving(BATCH + 5, 40, 50)
    write_store(tmp_path / "store.arrow", ([encode_png(picture)] for picture in pictures))
    crops = [Crop("a.mp4", 0, "frame", number, [number], number, "") for number in range(len(pictures))]
    held = []

    class Watched:
        kind, crop = "frame", frame_scorer.crop

        def __call__(self, units):
            held.append(len(units))
            return frame_scorer(units)

    rows = score(crops, Store(tmp_path / "store.arrow"), Watched(), 1, [0])
    assert held == [BATCH, 5]
    units = [prepared([picture], frame_scorer.crop, number % 2 == 0) for number, picture in enumerate(pictures)]
    assert [row.probability for row in rows] == np.concatenate(frame_scorer(units)).tolist()


@pytest.mark.parametrize("workers", [1, 3])
def test_pictures_are_prepared_ahead_of_the_network_but_not_all(tmp_path, monkeypatch, workers):
    count = AHEAD + 3 * BATCH
    write_store(tmp_path / "store.arrow", ([encode_png(picture)] for picture in moving(count, 32, 32)))
    crops = [Crop("a.mp4", 0, "frame", number, [number], number, "") for number in range(count)]
    begun, before = [], []
    monkeypatch.setattr(scorer_module, "prepared", lambda *unit: begun.append(1) or prepared(*unit))

    class Slow:
        kind, crop = "frame", CropPolicy(32, False, 32, 32)

        def __call__(self, units):
            deadline = time.monotonic() + 600
            before.append(sum(before[-1:]) + len(units))
            while len(begun) < min(before[-1] + AHEAD, count) and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.02)
            assert len(begun) == min(before[-1] + AHEAD, count)
            return [np.array([unit.mean() / 255]) for unit in units]

    store = Store(tmp_path / "store.arrow")
    rows = score(crops, store, Slow(), 1, [0], workers)
    assert before == [BATCH * number for number in range(1, 6)]
    assert [row.probability for row in rows] == [store.read(number)[0].mean() / 255 for number in range(count)]


def test_scores_do_not_depend_on_the_number_of_workers(crops, frame_scorer, sequence_scorer):
    for scorer in (frame_scorer, sequence_scorer):
        assert score(*crops, scorer, 1, [0], workers=1) == score(*crops, scorer, 1, [0], workers=4)


def test_a_damaged_picture_is_named(tmp_path, frame_scorer):
    path = tmp_path / "store.arrow"
    write_store(path, ([encode_png(picture)] for picture in moving(3, 40, 50)))
    content = bytearray(path.read_bytes())
    content[content.rindex(b"IDAT") + 30] ^= 255
    path.write_bytes(content)
    crops = [Crop("a.mp4", 0, "frame", number, [number], number, "") for number in range(3)]
    with pytest.raises(UserError, match=r"store\.arrow is damaged: image 0 of clip 2: "):
        score(crops, Store(path), frame_scorer, 1, [0], workers=2)


@pytest.mark.parametrize(("generation", "in_place_of_bfloat16"), [((7, 0), torch.float16), ((8, 0), torch.bfloat16)])
def test_the_type_that_a_gpu_computes_in(monkeypatch, generation, in_place_of_bfloat16):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: generation)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    types = [inference_type(torch.device("cuda"), precision) for precision in ("fp32", "bf16", "fp16")]
    assert types == [torch.float32, in_place_of_bfloat16, torch.float16]
    assert not torch.backends.cudnn.allow_tf32
    assert {inference_type(CPU, precision) for precision in ("fp32", "bf16", "fp16")} == {torch.float32}


@pytest.mark.parametrize(("dtype", "most"), [(torch.bfloat16, 0.05), (torch.float16, 0.006)])
def test_low_precision_is_close_to_float32(astronaut, tmp_path, dtype, most):
    """With the pretrained network that the demo starts from, on windows around a face."""
    path, crop = tmp_path / "w.safetensors", CropPolicy(112, False, 112, 112)
    torch.manual_seed(0)
    model = build_model("efficientnet-lite0", "frame", (112, 112))
    load_backbone(model, load_pretrained(lite0_file(), "efficientnet-lite0"))
    with torch.no_grad():
        model._fc.weight *= 5  # as decided as a trained network
    about = {"architecture": "efficientnet-lite0", "kind": "frame", "sequence_length": 7, "crop": asdict(crop)}
    save_weights(path, model.state_dict(), about, torch.float16)
    scorer = Scorer(path, CPU, "bf16")
    assert scorer.dtype == torch.float32  # a CPU's results are the same bytes everywhere
    faces = [astronaut[y : y + side, x : x + side] for y in (10, 40) for x in (120, 150) for side in (130, 150, 170)]
    units = [prepared([face], crop, number % 2 == 0) for number, face in enumerate(faces)]
    exact = np.concatenate(scorer(units))
    scorer.dtype = dtype
    rough = np.concatenate(scorer(units))
    assert exact.std() > 0.05  # or the bound below would say little
    assert 0 < np.abs(rough - exact).max() < most


def test_wrong_weights(tmp_path):
    with pytest.raises(UserError, match="no such weights file"):
        Scorer(tmp_path / "absent.safetensors", CPU, "fp32")
    path = write_weights(tmp_path / "w.safetensors")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(UserError, match="cannot be read"):
        Scorer(path, CPU, "fp32")


def test_weights_that_give_no_number_are_refused(crops, tmp_path):
    path = write_weights(tmp_path / "weights.safetensors", dtype=torch.float32)
    scorer = Scorer(path, CPU, "fp32")
    with torch.no_grad():
        scorer.model._fc.bias.fill_(float("nan"))
    rows, store = crops
    with pytest.raises(UserError, match=r"not finite for some faces of .*\.mp4"):
        score(rows, store, scorer, 1, [0])


def test_weights_without_preprocessing_are_refused(frame_scorer, tmp_path):
    save_weights(tmp_path / "bare.safetensors", frame_scorer.model.state_dict(), {}, torch.float32)
    with pytest.raises(UserError, match="has no architecture, crop, kind"):
        Scorer(tmp_path / "bare.safetensors", CPU, "fp32")


def test_windows_of_another_length_are_refused(crops, tmp_path):
    scorer = Scorer(write_weights(tmp_path / "w.safetensors", "sequence", 5), CPU, "fp32")
    rows, store = crops
    with pytest.raises(UserError, match=r"windows of 5 frames, .* windows of 7"):
        score(rows, store, scorer, 1, [0])
