"""What a score means to a person."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.store import Store
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.crops import Crop
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TestVideo as Row
from dfdc.networks.inputs import center_transform
from dfdc.networks.settings import CropPolicy
from dfdc.networks.weights.find import Member
from dfdc.stages.prediction.sharpness import sharpness
from dfdc.stages.prediction.verdict import FAKE, REAL, UNCERTAIN, Verdict, in_words, judge, purpose_in_words
from dfdc.stages.prediction.videos import TrackScores, VideoScore
from dfdc.stages.prediction.yaw import landmark_detector, yaw

MANY_WRONG = {"beyond": {"clips": 4, "wrong": 3}, "within": {"clips": 76, "wrong": 8}}
NONE_WRONG = {"beyond": {"clips": 4, "wrong": 0}, "within": {"clips": 76, "wrong": 8}}
NONE = {"beyond": {"clips": 0, "wrong": 0}, "within": {"clips": 80, "wrong": 8}}


CROP = {"smaller_side": 48, "pad": False, "height": 40, "width": 40}


def video(height=100, probability=0.9, **means):
    boxes = np.tile(np.array([0, 0, 80, height], np.float32), (3, 1))
    scores = {name: (np.arange(3), np.full(3, mean)) for name, mean in (means or {"re": 0.9, "seq": 0.8}).items()}
    tracks = [TrackScores(Track("a.mp4", 0, [0, 1, 2], boxes, [0.9] * 3), scores)]
    return VideoScore(Path("a.mp4"), None, probability, tracks, [], None, 0.1)


def weights(**ranges):
    return [Member("re", Path("re"), {}, {"ranges": {"models": ["re", "seq"], **ranges}}), Member("seq", Path("s"), {})]


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.01, REAL), (0.349, REAL), (0.35, UNCERTAIN), (0.5, UNCERTAIN), (0.65, UNCERTAIN), (0.651, FAKE), (0.99, FAKE)],
)
def test_words(probability, words):
    assert in_words(probability) == words
    assert judge(video(probability=probability), []) == Verdict(words)


def test_small_faces_are_doubtful_if_such_clips_were_misjudged_or_there_were_none():
    many = "95 % of the validation clips (3 of 4 such clips were misclassified)"
    for known, told in ((MANY_WRONG, many), (NONE, "any validation clip")):
        members = weights(face_height={"limit": 64.5, **known})
        assert judge(video(height=65), members) == Verdict(FAKE)
        doubted = judge(video(height=60), members)
        assert doubted.words == UNCERTAIN
        assert doubted.reasons == (f"its faces are 60 pixels high, smaller than in {told}",)
    assert judge(video(height=60), weights(face_height={"limit": 64.5, **NONE_WRONG})) == Verdict(FAKE)


def test_models_that_disagree():
    members = weights(disagreement={"limit": 0.4, **MANY_WRONG})
    assert judge(video(re=0.9, seq=0.6), members) == Verdict(FAKE)
    doubted = judge(video(re=0.9, seq=0.2), members)
    assert (doubted.words, len(doubted.reasons)) == (UNCERTAIN, 1)
    assert doubted.reasons[0].startswith("the models are 0.70 apart, further than in 95 %")
    # Of other models nothing is known.
    assert judge(video(re=0.9, large_crop=0.2), members) == Verdict(FAKE)
    both = weights(disagreement={"limit": 0.4, **MANY_WRONG}, face_height={"limit": 200, **NONE})
    assert len(judge(video(re=0.9, seq=0.2), both).reasons) == 2


def with_faces(folder, faces, kind="frame"):
    """The same with pictures of faces, one for each crop."""
    write_store(folder / "faces.arrow", ([encode_png(face)] for face in faces))
    crops = [Crop("a.mp4", 0, kind, number, (number,), number, "") for number in range(len(faces))]
    return replace(video(), crops=crops, store=Store(folder / "faces.arrow"))


def test_blurred_faces_are_doubtful(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (96, 64, 3), np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    policy = CropPolicy(**CROP)
    sharp, soft = sharpness([center_transform(noise, policy), center_transform(blurred, policy)])
    known = {"limit": float(sharp + soft) / 2, **MANY_WRONG}
    model = {"kind": "frame", "crop": CROP}
    (tmp_path / "most").mkdir()
    mostly_sharp = with_faces(tmp_path / "most", [noise, blurred, noise] * 20)
    mostly_blurred = with_faces(tmp_path, [blurred, noise, blurred])
    for of_models, name in (({"re": known}, "re"), ({"re": None, "seq": known}, "seq")):
        ranges = {"models": ["re", "seq"], "sharpness": of_models}
        members = [Member("re", Path("re"), model, {"ranges": ranges}), Member(name, Path("seq"), model)]
        assert judge(mostly_sharp, members) == Verdict(FAKE)
        assert judge(mostly_blurred, members).reasons == (
            "its faces are more blurred than in 95 % of the validation clips (3 of 4 such clips were misclassified)",
        )
        # Faces cut for other models say nothing, nor does a limit below which as few are misjudged.
        assert judge(with_faces(tmp_path, [blurred], "sequence"), members) == Verdict(FAKE)
        ranges["sharpness"] = {"re": {**known, **NONE_WRONG}, "seq": 3}
        assert judge(mostly_blurred, members) == Verdict(FAKE)
        ranges["sharpness"] = [known]
        assert judge(mostly_blurred, members) == Verdict(FAKE)


def test_faces_seen_from_the_side_are_doubtful(tmp_path, sources):
    photos = [cv2.cvtColor(cv2.imread(str(sources[name])), cv2.COLOR_BGR2RGB) for name in ("astronaut", "portrait-4")]
    front, side = (cv2.resize(photo, (120, 130), interpolation=cv2.INTER_AREA) for photo in photos)
    empty = np.zeros_like(front)
    crop = {"smaller_side": 112, "pad": False, "height": 112, "width": 104}
    known = {"limit": float(yaw([front, side], landmark_detector()).mean()), **MANY_WRONG}
    videos = {
        name: with_faces(tmp_path / name, faces)
        for name, faces in {
            "mostly_front": [front, side, front],
            "mostly_side": [side, front, side],
            "side_or_unknown": [empty, empty, side],
            "unknown": [empty],
        }.items()
        if not (tmp_path / name).mkdir()
    }
    ranges = {"models": ["re", "seq"], "yaw": {"re": known}}
    members = [Member("re", Path("re"), {"kind": "frame", "crop": crop}, {"ranges": ranges})]
    for name in ("mostly_front", "unknown"):
        assert judge(videos[name], members) == Verdict(FAKE)
    for name in ("mostly_side", "side_or_unknown"):
        assert judge(videos[name], members).reasons == (
            "its faces are seen more from the side than in 95 % of the validation clips (3 of 4 such clips were "
            "misclassified)",
        )
    for stored in ({"re": {**known, **NONE_WRONG}}, {"re": None}, None, [known]):
        ranges["yaw"] = stored
        assert judge(videos["mostly_side"], members) == Verdict(FAKE)


@pytest.mark.parametrize(
    "stored", [None, 3, [], {"limit": "x"}, {"limit": 64, "beyond": 3}, {"limit": float("nan"), **NONE}]
)
def test_ranges_that_are_none_say_nothing(stored):
    assert judge(video(height=10), weights(face_height=stored)) == Verdict(FAKE)


def test_a_video_without_faces_is_uncertain_with_the_reason():
    row = Row("a.mp4", "no face", "no face was detected")
    found = judge(VideoScore(Path("a.mp4"), row, 0.5, [], [], None, 0.1), [])
    assert found == Verdict(UNCERTAIN, ("no face was detected",))


def test_weights_that_were_made_for_a_demonstration():
    about = {"purpose": "demonstration", "data": "faces", "pairs": 94, "sources": 20}
    shown = purpose_in_words([Member("a", Path("a"), {}), Member("b", Path("b"), {}, {"provenance": about})])
    assert "made for a demonstration (faces: 94 pairs of 20 real videos)" in shown
    assert purpose_in_words([Member("b", Path("b"), {}, {"provenance": about | {"purpose": None}})]) == ""
