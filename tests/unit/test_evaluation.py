import math

import numpy as np
import pyarrow as pa
import pytest

from dfdc.data.labels import Label
from dfdc.data.schemas.evaluation import EVALUATED
from dfdc.data.schemas.scores import SCORES
from dfdc.data.schemas.tracks import TRACKS
from dfdc.data.schemas.validation_scores import VALIDATION_SCORES
from dfdc.data.schemas.videos import TestVideo as Video
from dfdc.data.tables import write_table
from dfdc.stages.evaluation.intervals import MEASURES
from dfdc.stages.evaluation.metrics import log_loss
from dfdc.stages.evaluation.report import between, evaluate, report
from dfdc.stages.evaluation.validation_report import evaluate_validation
from dfdc.stages.prediction.ensemble import video_scores
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from published import published

PUBLISHED = published(EnsembleSettings)


def scores(*rows):
    columns = ("video", "track", "frame", "probability")
    return pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], SCORES)


def tracks(*rows):
    """Rows of video, track and height of the face."""
    made = [
        {"video": video, "track": track, "frame": 0, "box": [0, 0, 10, height], "score": 1.0}
        for video, track, height in rows
    ]
    return pa.Table.from_pylist(made, TRACKS)


def video(name, status="ok", fps=30.0, width=640, height=480):
    return Video(name, status, fps=fps, width=width, height=height)


OF_VIDEOS = [video("a"), video("b", fps=14.9, width=1080, height=1920), video("c", "unreadable", None, None, None)]
LABELS = {"a": Label(1, "a", "swap"), "b": Label(0, "b"), "elsewhere": Label(0, "elsewhere")}
OF_TRACKS = [tracks(("a", 0, 50), ("a", 1, 60), ("a", 1, 200)), tracks(("b", 0, 300), ("c", 0, 1))]
OF_MODELS = {
    "good": [scores(("a", 0, 0, 0.9)), scores(("b", 0, 0, 0.1))],
    "bad": [scores(("a", 0, 0, 0.4)), scores(("b", 0, 0, 0.6), ("c", 0, 0, 0.6))],
}


def test_models_pairs_and_all_together():
    result, rows = evaluate(LABELS, OF_VIDEOS, OF_TRACKS, OF_MODELS, PUBLISHED)
    assert result["models"]["good"]["auc"] == 1
    assert result["models"]["bad"]["auc"] == 0
    assert result["ensemble"]["auc"] == 1
    assert result["ensemble"]["videos"] == result["ensemble"]["sources"] == 2
    assert result["models"]["good"]["log_loss"] < result["ensemble"]["log_loss"] < result["models"]["bad"]["log_loss"]
    assert result["pairs"] == {"bad + good": result["ensemble"]}
    assert result["videos"] == {"total": 3, "labelled": 2, "by_status": {"ok": 2, "unreadable": 1}}
    assert (result["log_loss_clip"], result["calibration_bins"]) == (1e-15, 10)
    assert result["intervals"] == {"level": 0.95, "replicates": 1000, "over": "sources"}
    assert result["calibration"] == "published"

    expected = video_scores(["a", "b"], [*OF_MODELS["good"], *OF_MODELS["bad"]], PUBLISHED)
    of_all = {row.video: row for row in rows if row.models == "ensemble"}
    assert {name: row.score for name, row in of_all.items()} == expected
    assert result["ensemble"]["log_loss"] == pytest.approx(log_loss([1, 0], [expected["a"], expected["b"]]))
    assert {row.models for row in rows} == {"ensemble", "good", "bad", "bad + good"}
    assert (of_all["a"].label, of_all["a"].method, of_all["a"].condition) == (1, "swap", "test")


def test_groups():
    result, _ = evaluate(LABELS, OF_VIDEOS, OF_TRACKS, OF_MODELS, PUBLISHED)
    counts = {kind: {group: one["videos"] for group, one in of.items()} for kind, of in result["groups"].items()}
    assert counts == {
        "face_height": {"below 64 pixels": 1, "256 pixels or more": 1},
        "tracks": {"1": 1, "2": 1},
        "frame_rate": {"below 20 frames a second": 1, "28 to 32 frames a second": 1},
        "resolution": {"360 to 720 pixels": 1, "1080 pixels or more": 1},
        "method": {"swap": 2},  # and all real ones
    }
    alone = result["groups"]["tracks"]["1"]
    assert alone["auc"] is None
    assert alone["log_loss"] > 0
    assert alone["intervals"] == dict.fromkeys(MEASURES)


def test_videos_without_a_face_and_of_which_nothing_is_known_are_a_group():
    labels = LABELS | {"c": Label(1, "c")}
    result, _ = evaluate(labels, OF_VIDEOS, [tracks(("a", 0, 100), ("b", 0, 100))], {"one": []}, PUBLISHED)
    assert result["ensemble"]["log_loss"] == pytest.approx(math.log(2))
    assert [list(result["groups"][kind])[-1] for kind in ("face_height", "frame_rate", "resolution")] == ["unknown"] * 3
    assert list(result["groups"]["tracks"]) == ["0", "1"]
    assert result["groups"]["method"]["swap"]["videos"] == 2  # not the fake of which the method is not known


def test_without_anything_in_common():
    assert report(np.zeros(0, int), np.zeros(0), [], "videos") == {
        "videos": 0,
        "sources": 0,
        **dict.fromkeys(MEASURES),
        "intervals": dict.fromkeys(MEASURES),
    }
    result, rows = evaluate({"elsewhere": Label(1, "elsewhere")}, OF_VIDEOS, OF_TRACKS, OF_MODELS, PUBLISHED)
    assert result["ensemble"]["videos"] == 0
    assert rows == []


@pytest.mark.parametrize(
    ("value", "group"),
    [(9.9, "below 10 px"), (10, "10 to 20 px"), (20, "20 px or more"), (None, "unknown"), (float("nan"), "unknown")],
)
def test_limits_of_groups(value, group):
    assert between(value, (10, 20), "px") == group


@pytest.fixture
def validation_scores():
    """Two models and three pairs of two real videos, as they were cut and compressed."""
    tables = {}
    for model, frames in (("frames", (9, 13)), ("window", (19, 21, 23))):
        rows = [
            {
                "part": "part",
                "real": f"real{pair // 2}",
                "fake": f"fake{pair}",
                "label": label,
                "clip": 2 * pair + (label == "FAKE"),
                "height": 150,
                "sharpness": 100.0,
                "yaw": 0.1 if condition == "plain" else None,
                "condition": condition,
                "frame": frame,
                "probability": 0.5 + (0.1 * pair + 0.001 * frame - 0.05) * (1 if label == "FAKE" else -1),
            }
            for condition in ("plain", "worse")
            for pair in range(3)
            for label in ("REAL", "FAKE")
            for frame in frames
        ]
        tables[model] = pa.Table.from_pylist(rows, VALIDATION_SCORES)
    return tables


def test_clips_are_scored_as_videos_are(validation_scores, tmp_path):
    methods = {("part", "fake0"): "swap", ("part", "fake1"): "swap"}
    result, calibration, rows = evaluate_validation(validation_scores, methods, 1.5, PUBLISHED)
    assert list(result["conditions"]) == ["plain", "worse"]
    plain = result["conditions"]["plain"]
    assert plain == result["conditions"]["worse"]
    assert (plain["ensemble"]["clips"], plain["ensemble"]["sources"]) == (6, 2)
    assert {group: one["clips"] for group, one in result["groups"]["method"].items()} == {"swap": 5}
    assert list(result["groups"]["face_height"]) == ["64 to 128 pixels"]

    def scores_like(table):
        rows = [row for row in table.to_pylist() if row["condition"] == "plain"]
        return scores(*((f"{row['clip']}", 0, row["frame"], row["probability"]) for row in rows))

    clips = [str(clip) for clip in range(6)]
    expected = video_scores(clips, [scores_like(table) for table in validation_scores.values()], PUBLISHED)
    found = {row.clip: row for row in rows if (row.condition, row.models) == ("plain", "ensemble")}
    published = [row for row in rows if (row.condition, row.calibration) == ("plain", "published")]
    assert {str(row.clip): pytest.approx(row.score) for row in published if row.models == "ensemble"} == expected
    assert {row.calibration for row in rows if row.condition == "worse"} == {"published"}
    assert found[5].video == "fake2"
    assert found[4].video == "real1"
    assert {row.calibration for row in rows} == {"published", "exponent", "temperature"}
    assert calibration["published"]["log_loss"] == pytest.approx(plain["ensemble"]["log_loss"])
    fitted = [row for row in rows if row.calibration == "temperature"]
    assert log_loss([row.label for row in fitted], [row.score for row in fitted]) == pytest.approx(
        calibration["temperature"]["log_loss"]
    )
    write_table(tmp_path / "scores.parquet", EVALUATED, rows)


def test_nothing_was_kept_out():
    empty = pa.Table.from_pylist([], VALIDATION_SCORES)
    result, calibration, rows = evaluate_validation({"one": empty, "two": empty}, {}, 1.5, PUBLISHED)
    assert result["conditions"]["plain"]["ensemble"]["clips"] == 0
    assert result["conditions"]["plain"]["ensemble"]["log_loss"] is None
    assert calibration["exponent"]["exponent"] is None
    assert rows == []
