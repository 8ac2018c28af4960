"""The numbers behind the figures, and that what is drawn is there."""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import pair_rows, sample_settings, write_clips

from dfdc.data.catalog import schemas
from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.pairs import PAIRS
from dfdc.figures import data, samples, training
from dfdc.figures import validation as validation
from dfdc.figures.pictures import Row, sheet
from dfdc.figures.scores import Scores, plot_mistakes, plot_roc, plot_scores, plot_transform, worst
from dfdc.figures.style import drawing
from dfdc.networks.inputs import denormalise
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from published import published

SCHEMAS = schemas()

PLAIN = published(EnsembleSettings)


def table(name, rows):
    blank = {field.name: None for field in SCHEMAS[name]}
    return pa.Table.from_pylist([blank | row for row in rows], SCHEMAS[name])


def video(name, label="REAL", status="ok", reason="", frames=12, fps=6.0):
    return {"video": name, "label": label, "status": status, "reason": reason, "frames": frames, "fps": fps}


def face(name, frame, height=10.0, **more):
    return {"video": name, "frame": frame, "box": [0.0, 5.0, 7.0, 5.0 + height], "score": 0.9, **more}


def words_in(path):
    """The words that an SVG file shows: letters are outlines there, with the words as comments."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    return " ".join(node.text for node in ElementTree.parse(path, parser).iter(ElementTree.Comment))


def one_part():
    videos = [video("r"), video("f", "FAKE"), video("b", "FAKE", "unreadable", "no stream 3", 0, 0.0)]
    detections = [face("r", 0), face("r", 0, 20), face("r", 3), face("f", 6, 40)]
    tracks = [face("r", 0, track=0), face("r", 3, track=0), face("f", 6, track=0)]
    return data.found_in(table("videos", videos), table("detections", detections), table("tracks", tracks), every=3)


def test_what_was_found_in_a_part():
    found = one_part()
    # 12 frames, every third looked at: two faces in one, one in one, none in two; of the fake one in one.
    assert found.faces["REAL"].tolist() == [2, 1, 1, 0, 0, 0]
    assert found.faces["FAKE"].tolist() == [3, 1, 0, 0, 0, 0]
    assert found.heights["REAL"].tolist() == [10, 20, 10]
    assert found.heights["FAKE"].tolist() == [40]
    assert found.tracks["REAL"].tolist() == [0.5]  # 3 frames, 6 a second
    assert found.tracks["FAKE"].tolist() == [0]
    assert found.videos == {"REAL": {"ok": 1}, "FAKE": {"ok": 1, "unreadable: no stream …": 1}}


def test_of_test_videos_only_some_frames_are_kept():
    videos = [video("a", frames=13) | {"step": 2}, video("b", "", "unreadable", "bad", 0, 0.0) | {"step": 0}]
    found = data.found_in(
        table("test_videos", [{key: row[key] for key in row if key != "label"} for row in videos]),
        table("detections", [face("a", 0)] + [face("a", 6)] * 7),
        table("tracks", []),
        every=3,
    )
    # Frames 0, 6 and 12 of 13; seven faces count as the most that are told apart.
    assert found.faces[""].tolist() == [1, 1, 0, 0, 0, 1]
    assert found.videos == {"": {"ok": 1, "unreadable: bad": 1}}


def test_parts_are_added_up():
    found = data.together([one_part(), one_part()])
    assert found.faces["REAL"].tolist() == [4, 2, 2, 0, 0, 0]
    assert found.heights["FAKE"].tolist() == [40, 40]
    assert found.videos["FAKE"] == Counter({"ok": 2, "unreadable: no stream …": 2})


@pytest.mark.parametrize(
    ("reason", "general"),
    [
        ("after frame 212: the file ends", "the file ends"),
        ("other size: real 10x20, fake 30x40", "other size: real …, fake …"),
        ("frames that could be decoded in part only: 3, 5, …", "frames that could be decoded in part only: …, …"),
        ("", ""),
    ],
)
def test_reasons_in_general(reason, general):
    assert data.in_general(reason) == general


def test_a_status_that_the_reason_repeats_is_said_once():
    videos = [video("a", status="no face", reason="no face was detected"), video("b", status="damaged", reason="x")]
    found = data.found_in(table("videos", videos), table("detections", []), table("tracks", []), 3)
    assert found.videos["REAL"] == {"no face was detected": 1, "damaged: x": 1}


def test_rare_reasons_are_others():
    counts = {"REAL": Counter(a=5, b=1), "FAKE": Counter(a=1, c=3, d=1)}
    shown = data.most_frequent(counts, 2)
    assert shown == {"REAL": {"a": 5, "c": 0, "others": 1}, "FAKE": {"a": 1, "c": 3, "others": 1}}


def test_alignment():
    rows = [
        {"real": "r", "fake": "f", "status": "aligned", "reason": ""},
        {"real": "r", "fake": "f", "status": "unaligned", "reason": "no track"},
        {"real": "r", "fake": "g", "status": "unaligned", "reason": "other size: 3x4"},
    ]
    tracks, fakes = data.alignment_of([table("aligned", rows), table("aligned", rows[:1])])
    assert tracks == {"aligned": 2, "unaligned: no track": 1, "unaligned: other size: …": 1}
    assert fakes == {"with": 2, "without": 1}


def test_figures_of_data(tmp_path):
    found = data.together([one_part()])
    for draw, said in (
        (data.plot_videos, "3 videos by state"),
        (data.plot_faces, "sampled frames (%)"),
        (data.plot_heights, "median 15 pixels"),
        (data.plot_tracks, "median 0.2 seconds"),
    ):
        draw(tmp_path / "figure.svg", found)
        assert said in words_in(tmp_path / "figure.svg"), draw


def test_nothing_was_found(tmp_path):
    videos = [video("r", status="unreadable", reason="bad", frames=0, fps=0.0)]
    nothing = data.found_in(table("videos", videos), table("detections", []), table("tracks", []), 3)
    for draw in (data.plot_videos, data.plot_faces, data.plot_heights, data.plot_tracks):
        draw(tmp_path / "figure.svg", nothing)
    data.plot_alignment(tmp_path / "figure.svg", [table("aligned", [])])
    data.plot_clip_lengths(tmp_path / "figure.svg", [table("clips", [])])
    assert "no clips" in words_in(tmp_path / "figure.svg")


def test_the_same_figure_is_the_same_file(tmp_path):
    for name in ("one.svg", "two.svg"):
        with drawing(tmp_path / name, 3, 2) as (axes,):
            axes.plot([0, 1], [1, 0], label="a")
            axes.legend()
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "one.svg").read_bytes()


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50), st.integers(1, 60))
def test_averages_keep_the_mean(values, points):
    values = np.array(values)
    middles, means = training.averaged(values, points)
    stretches = np.array_split(values, min(points, len(values)))
    assert len(means) == len(middles) == len(stretches)
    assert np.dot(means, list(map(len, stretches))) == pytest.approx(values.sum(), abs=1e-6)
    assert np.all(np.diff(middles) > 0)


def test_least_loss():
    assert training.least_loss(0.5) == pytest.approx(2 * np.log(2) - 1, abs=1e-15)
    targets = np.random.default_rng(0).beta(2, 2, 200000)
    entropy = -(targets * np.log(targets) + (1 - targets) * np.log1p(-targets)).mean()
    assert training.least_loss(2) == pytest.approx(entropy, abs=2e-3)


def test_figures_of_a_training(tmp_path):
    metrics = {"iteration": 1, "loss": 0.7, "learning_rate": 0.1, "gradient_norm": 2.0}
    training.plot_training(tmp_path / "a.svg", {"m": table("metrics", [metrics] * 3)}, 0.5, 1)
    said = words_in(tmp_path / "a.svg")
    assert "minimum expected loss (0.386)" in said
    assert "warm-up, until iteration 1" in said
    assert "Learning rate of all models" in said
    both = {name: table("metrics", [metrics | {"learning_rate": rate}] * 3) for name, rate in (("m", 0.1), ("n", 0.2))}
    training.plot_training(tmp_path / "a.svg", both, 0.5, 1)
    assert "of all models" not in words_in(tmp_path / "a.svg")
    measured = {"iteration": 2, "clips": "plain", "count": 6, "log_loss": 0.6, "auc": 0.7}
    training.plot_validation(tmp_path / "b.svg", {"m": table("validation", [measured])})
    assert "Validation on 6 clips" in words_in(tmp_path / "b.svg")
    training.plot_validation(tmp_path / "b.svg", {"m": table("validation", [])})
    assert "no validation clips" in words_in(tmp_path / "b.svg")


def stored_pairs(folder, pairs=3):
    rows = pair_rows(pairs, 40)
    store = write_clips(folder / "part.arrow", [40] * (2 * pairs))
    return samples.Samples(pa.Table.from_pylist(list(map(asdict, rows)), PAIRS), {"part": store})


def test_samples_are_drawn_of_all_sources_first(tmp_path):
    rows = [asdict(replace(row, real=f"real{number % 5}.mp4")) for number, row in enumerate(pair_rows(40, 40))]
    drawn = samples.Samples(pa.Table.from_pylist(rows, PAIRS), {})
    assert len(drawn.pairs) == samples.CLIPS
    assert len({pair.real for pair in drawn.pairs[:5]}) == 5
    assert drawn.words(4) == "4 of 40 pairs, drawn at random"
    again = samples.Samples(pa.Table.from_pylist(rows, PAIRS), {})
    assert again.pairs == drawn.pairs


def test_a_mixture_goes_from_real_to_fake():
    real, fake = np.full((1, 8, 6, 3), 40, np.uint8), np.full((1, 8, 6, 3), 200, np.uint8)
    mixed = denormalise(samples._mixtures(real, fake))
    assert [int(picture.mean().round()) for picture in mixed] == [40, 80, 120, 160, 200]


def test_pictures_of_samples(tmp_path):
    drawn = stored_pairs(tmp_path)
    frame, sequence = sample_settings(), sample_settings("sequence", (1, 3, 5))
    path = tmp_path / "figure.jpg"
    for draw in (
        lambda: samples.plot_clips(path, drawn, frame),
        lambda: samples.plot_clip(path, drawn, frame),
        lambda: samples.plot_mixup(path, drawn, "m", frame),
        lambda: samples.plot_augmented_mixup(path, drawn, "m", frame),
        lambda: samples.plot_frame_inputs(path, drawn, {"m": frame, "n": frame}),
        lambda: samples.plot_sequence_input(path, drawn, {"s": sequence}),
    ):
        draw()
        picture = np.asarray(Image.open(path))
        assert picture.shape[1] >= 640
        assert picture.std() > 30
        path.unlink()


def test_no_pairs_at_all(tmp_path):
    drawn = samples.Samples(table("pairs", []), {})
    samples.plot_clips(tmp_path / "a.jpg", drawn, sample_settings())
    samples.plot_clip(tmp_path / "a.jpg", drawn, sample_settings())
    samples.plot_augmented_mixup(tmp_path / "a.jpg", drawn, "m", sample_settings())
    samples.plot_frame_inputs(tmp_path / "a.jpg", drawn, {"m": sample_settings()})
    assert drawn.words(4) == "no pairs"


def test_pictures_keep_their_shape_and_place():
    red, blue = np.zeros((10, 20, 3), np.uint8), np.zeros((40, 40, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    drawn = sheet("title", [Row([red, blue], "row", ["a caption that is far too wide to fit", ""])], 50)
    is_red = (drawn == (255, 0, 0)).all(-1)
    is_blue = (drawn == (0, 0, 255)).all(-1)
    assert is_red.sum() == 100 * 50
    assert is_blue.sum() == 50 * 50
    assert not (is_red.any(0) & is_blue.any(0)).any()
    assert (is_red.any(1) == is_blue.any(1)).all()


LABELS = {"a": 0, "b": 1, "c": 1, "d": 0}
SCORES = {"a": 0.9, "b": 0.2, "c": 0.4, "d": 0.5, "without label": 0.1}


def test_worst_mistakes():
    assert worst(SCORES, LABELS) == ["a", "b", "c"]
    assert worst(SCORES, LABELS, 1) == ["a"]


def scored(labels=LABELS):
    rows = [{"video": name, "track": 0, "frame": 0, "probability": score} for name, score in SCORES.items()]
    return Scores.from_tables([*SCORES, "no face"], {"m": [table("scores", rows)]}, labels, PLAIN)


def test_scores_by_label():
    of_label = scored().by_label("m")
    assert {label: len(scores) for label, scores in of_label.items()} == {"REAL": 2, "FAKE": 2}
    assert of_label["REAL"].max() > 0.9  # moved away from 0.5
    assert len(scored({}).by_label("ensemble")[""]) == 6


def test_figures_of_scores(tmp_path):
    path = tmp_path / "figure.svg"
    for labels in (LABELS, {}):
        plot_scores(path, scored(labels))
        assert "ensemble: 4 videos" in words_in(path) if labels else "ensemble: 6 videos" in words_in(path)
    plot_transform(path, scored(), PLAIN)
    assert "exponent 0.65" in words_in(path)
    plot_transform(path, scored(), published(EnsembleSettings, temperature=0.5))
    assert "temperature 0.5" in words_in(path)
    plot_roc(path, scored())
    assert "ensemble (0.000)" in words_in(path)
    plot_roc(path, scored({"a": 0}))
    assert "all real or all fake" in words_in(path)


def test_the_picture_of_mistakes_shows_faces_of_these_videos(tmp_path):
    colours = {"a": 50, "b": 120, "d": 200}
    crops, clips = [], []
    for name, colour in colours.items():
        for ordinal in range(9):
            crops.append({"video": name, "kind": "frame", "ordinal": ordinal, "frames": [ordinal], "batch": len(crops)})
            clips.append([encode_png(np.full((30, 20, 3), colour, np.uint8))])
    write_store(tmp_path / "0.arrow", clips)
    plot_mistakes(tmp_path / "a.jpg", scored(), [table("crops", crops)], [tmp_path / "0.arrow"])
    picture = np.asarray(Image.open(tmp_path / "a.jpg")).astype(int)
    seen = {name: (abs(picture - colour).max(-1) <= 2).sum() for name, colour in colours.items()}
    assert seen["a"] > 80000 < seen["b"]
    assert seen["d"] < 3000  # a video that is no mistake; grey at the edges of letters


def test_figures_of_validation_clips(tmp_path):
    rows = [
        {"label": number % 2, "condition": "plain", "models": "ensemble", "calibration": kind, "score": number / 10}
        for number in range(10)
        for kind in validation.CALIBRATIONS
    ]
    fitted = {"log_loss": 0.4, "log_loss_left_out": None}
    calibration = {
        "clips": 10,
        "sources": 1,
        "published": {"exponent": 0.65, "log_loss": 0.5},
        "exponent": fitted | {"exponent": 0.8},
        "temperature": fitted | {"temperature": 0.7, "log_loss_left_out": 0.45},
    }
    validation.plot_calibration(tmp_path / "a.svg", table("evaluated", rows), calibration)
    said = words_in(tmp_path / "a.svg")
    assert "published exponent 0.65: log loss 0.500" in said
    assert "temperature 0.70: log loss 0.400, left out 0.450" in said
    validation.plot_calibration(tmp_path / "a.svg", table("evaluated", []), calibration)
    assert "no validation clips" in words_in(tmp_path / "a.svg")

    found = {"clips": 10, "log_loss": 0.5, "auc": None, "intervals": {"log_loss": [0.4, 0.6], "auc": None}}
    condition = {"ensemble": found, "models": {"m": found}}
    validation.plot_conditions(tmp_path / "b.svg", {"conditions": {"plain": condition, "CRF 40": condition}})
    assert "10 validation clips" in words_in(tmp_path / "b.svg")
