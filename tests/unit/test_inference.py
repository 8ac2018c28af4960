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
from dfdc.networks.inputs import center_transform, normalise
from dfdc.networks.weights.files import save_weights
from dfdc.stages.prediction.crops import crop_test_faces
from dfdc.stages.prediction.scorer import BATCH, Scorer, score
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
    return Scorer(write_weights(tmp_path_factory.mktemp("weights") / "w.safetensors"), CPU)


@pytest.fixture(scope="module")
def sequence_scorer(tmp_path_factory):
    return Scorer(write_weights(tmp_path_factory.mktemp("weights") / "w.safetensors", "sequence", 7), CPU)


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
    found = frame_scorer([[picture] for picture in pictures], [False] * len(pictures))
    assert [one.shape for one in found] == [(1,)] * len(pictures)
    np.testing.assert_allclose(np.concatenate(found), probabilities(frame_scorer, pictures, False), atol=1e-4)
    windows = [pictures[start : start + 7] for start in range(0, 60)]
    found = sequence_scorer(windows, [False] * 60)
    for number in (0, 8, 9, 10, 59):  # nine windows fill a batch
        np.testing.assert_allclose(found[number], probabilities(sequence_scorer, windows[number], False), atol=1e-4)


def test_no_more_than_a_batch_of_faces_is_held(tmp_path, frame_scorer):
    """And yet the numbers are those of all faces at once."""
    pictures = moving(BATCH + 5, 40, 50)
    write_store(tmp_path / "store.arrow", ([encode_png(picture)] for picture in pictures))
    crops = [Crop("a.mp4", 0, "frame", number, [number], number, "") for number in range(len(pictures))]
    held = []

    class Watched:
        kind = "frame"

        def __call__(self, units, flips):
            held.append(len(units))
            return frame_scorer(units, flips)

    rows = score(crops, Store(tmp_path / "store.arrow"), Watched(), 1, [0])
    assert held == [BATCH, 5]
    together = frame_scorer([[picture] for picture in pictures], [number % 2 == 0 for number in range(len(pictures))])
    assert [row.probability for row in rows] == np.concatenate(together).tolist()


def test_wrong_weights(tmp_path):
    with pytest.raises(UserError, match="no such weights file"):
        Scorer(tmp_path / "absent.safetensors", CPU)
    path = write_weights(tmp_path / "w.safetensors")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(UserError, match="cannot be read"):
        Scorer(path, CPU)


def test_weights_that_give_no_number_are_refused(crops, tmp_path):
    path = write_weights(tmp_path / "weights.safetensors", dtype=torch.float32)
    scorer = Scorer(path, CPU)
    with torch.no_grad():
        scorer.model._fc.bias.fill_(float("nan"))
    rows, store = crops
    with pytest.raises(UserError, match=r"not finite for some faces of .*\.mp4"):
        score(rows, store, scorer, 1, [0])


def test_weights_without_preprocessing_are_refused(frame_scorer, tmp_path):
    save_weights(tmp_path / "bare.safetensors", frame_scorer.model.state_dict(), {}, torch.float32)
    with pytest.raises(UserError, match="has no architecture, crop, kind"):
        Scorer(tmp_path / "bare.safetensors", CPU)


def test_windows_of_another_length_are_refused(crops, tmp_path):
    scorer = Scorer(write_weights(tmp_path / "w.safetensors", "sequence", 5), CPU)
    rows, store = crops
    with pytest.raises(UserError, match=r"windows of 5 frames, .* windows of 7"):
        score(rows, store, scorer, 1, [0])
