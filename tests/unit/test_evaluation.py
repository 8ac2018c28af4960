import math

import pyarrow as pa
import pytest

from dfdc.ensemble import EnsembleSettings
from dfdc.evaluation import evaluate, evaluate_scores
from dfdc.tables import SCHEMAS


def test_evaluation_of_videos_that_have_both():
    result = evaluate_scores({"a": 1, "b": 0, "x": 1}, {"a": 0.9, "b": 0.2, "c": 0.7})
    assert result == {
        "videos": 2,
        "log_loss": pytest.approx(-(math.log(0.9) + math.log(0.8)) / 2),
        "auc": 1.0,
        "accuracy": 1.0,
    }
    assert evaluate_scores({"x": 1}, {"a": 0.9}) == {"videos": 0, "log_loss": None, "auc": None, "accuracy": None}


def test_evaluation_of_models_and_of_all_together():
    def table(*rows):
        columns = ("video", "track", "frame", "probability")
        return pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], SCHEMAS["scores"])

    videos = [{"video": "a", "status": "ok"}, {"video": "b", "status": "ok"}, {"video": "c", "status": "unreadable"}]
    scores_of = {
        "good": [table(("a", 0, 0, 0.9)), table(("b", 0, 0, 0.1))],
        "bad": [table(("a", 0, 0, 0.4)), table(("b", 0, 0, 0.6))],
    }
    result = evaluate({"a": 1, "b": 0, "elsewhere": 0}, videos, scores_of, EnsembleSettings())
    assert result["models"]["good"]["auc"] == 1
    assert result["models"]["bad"]["auc"] == 0
    assert result["ensemble"]["auc"] == 1
    assert result["ensemble"]["videos"] == 2
    assert result["models"]["good"]["log_loss"] < result["ensemble"]["log_loss"] < result["models"]["bad"]["log_loss"]
    assert result["videos"] == {"total": 3, "labelled": 2, "by_status": {"ok": 2, "unreadable": 1}}
    assert result["log_loss_clip"] == 1e-15
