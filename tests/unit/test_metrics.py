import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.stages.evaluation.metrics import accuracy, auc, log_loss

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
