import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.ensemble import EnsembleSettings
from dfdc.metrics import accuracy, auc, evaluate, evaluate_scores, log_loss
from dfdc.tables import SCHEMAS

LABELLED = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10)), min_size=1, max_size=30)


def test_log_loss_by_hand():
    assert log_loss([1, 0], [0.8, 0.4]) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    assert log_loss([1, 0, 1], [0.5] * 3) == pytest.approx(math.log(2))
    assert log_loss([1], [0.0]) == pytest.approx(-math.log(1e-15))
    assert log_loss([0], [1.0]) == pytest.approx(-math.log(1e-15), rel=0.01)
    assert log_loss([0, 1], [0.0, 1.0]) == pytest.approx(0, abs=1e-14)


def test_auc_by_hand():
    assert auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75
    assert auc([0, 1], [0.2, 0.2]) == 0.5
    assert auc([1, 0], [0.1, 0.9]) == 0
    assert auc([1, 1], [0.1, 0.9]) is None
    assert auc([0], [0.1]) is None


@given(LABELLED)
@settings(deadline=None, max_examples=60)
def test_auc_counts_pairs(labelled):
    labels, scores = np.array(labelled).T
    scores = scores / 10
    wins = [(fake > real) + (fake == real) / 2 for fake in scores[labels == 1] for real in scores[labels == 0]]
    assert auc(labels, scores) == (pytest.approx(np.mean(wins)) if wins else None)


def test_accuracy():
    assert accuracy([1, 0, 1, 0], [0.6, 0.4, 0.4, 0.6]) == 0.5
    assert accuracy([1, 0], [0.5, 0.5]) == 0.5  # 0.5 counts as real


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
