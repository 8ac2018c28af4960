import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.stages.evaluation import intervals as measures
from dfdc.stages.evaluation.intervals import (
    MEASURES,
    intervals,
    mean_interval,
    measure,
    reliability_bins,
    roc_curve,
    wilson,
)
from dfdc.stages.evaluation.metrics import accuracy, auc, log_loss

LABELLED = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10)), min_size=1, max_size=30)


def test_by_hand():
    # From the highest: fake .9, real .7, fake .6, real .2.
    found = measure([1, 0, 1, 0], [0.9, 0.7, 0.6, 0.2])
    losses = [-math.log(0.9), -math.log(0.3), -math.log(0.6), -math.log(0.8)]
    assert found["log_loss"] == pytest.approx(sum(losses) / 4)
    assert found["balanced_log_loss"] == pytest.approx(sum(losses) / 4)
    assert found["auc"] == 0.75
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["equal_error_rate"] == 0.5
    assert found["tpr_at_fpr_1"] == found["tpr_at_fpr_5"] == 0.5
    assert found["calibration_error"] == pytest.approx((0.1 + 0.7 + 0.4 + 0.2) / 4)
    assert found["brier"] == pytest.approx((0.01 + 0.49 + 0.16 + 0.04) / 4)
    assert found["accuracy"] == 0.75


def test_the_rarer_label_counts_as_much_in_the_balanced_log_loss():
    found = measure([1, 1, 1, 0], [0.8, 0.8, 0.8, 0.4])
    assert found["balanced_log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    assert found["log_loss"] == pytest.approx(-(3 * math.log(0.8) + math.log(0.6)) / 4)


def test_equal_scores_are_one_step():
    assert measure([1, 0], [0.5, 0.5])["average_precision"] == 0.5
    # 2 of 3 at the first step, then nothing is gained, then 3 of 5.
    labels, scores = [1, 1, 0, 0, 1], [0.9, 0.9, 0.9, 0.5, 0.3]
    assert measure(labels, scores)["average_precision"] == pytest.approx(2 / 3 * 2 / 3 + 3 / 5 / 3)


def test_the_equal_error_rate_by_hand():
    # From (0, 0) straight to (1/2, 1) by way of nothing: false = 1 - true at 1/3.
    assert measure([1, 0, 0], [0.8, 0.8, 0.3])["equal_error_rate"] == pytest.approx(1 / 3)
    assert measure([1, 0], [0.5, 0.5])["equal_error_rate"] == pytest.approx(0.5)
    assert measure([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1])["equal_error_rate"] == 0
    assert measure([0, 0, 1, 1], [0.9, 0.8, 0.2, 0.1])["equal_error_rate"] == 1


def test_true_positives_at_few_false_ones_by_hand():
    # Of 20 real ones one may pass at 5 %, none at 1 %; two share the highest score.
    reals, fakes = [0.95, *[0.1] * 19], [0.99, 0.96, 0.5, 0.05]
    found = measure([0] * 20 + [1] * 4, reals + fakes)
    assert (found["tpr_at_fpr_1"], found["tpr_at_fpr_5"]) == (0.5, 0.75)
    found = measure([0] * 20 + [1] * 4, [0.99, 0.99, *reals[2:], *fakes])
    assert (found["tpr_at_fpr_1"], found["tpr_at_fpr_5"]) == (0, 0)


def test_calibration_error_by_hand():
    # One bin: mean score 0.85, three of four are fake. A score of 1 belongs to the last bin.
    assert measure([1, 1, 1, 0], [0.85] * 4)["calibration_error"] == pytest.approx(0.1)
    assert measure([1, 0], [1.0, 0.95])["calibration_error"] == pytest.approx(0.475)
    assert measure([1, 0], [1.0, 0.0])["calibration_error"] == 0


def test_what_is_undefined_is_none():
    undefined = {"balanced_log_loss", "auc", "average_precision", "equal_error_rate", "tpr_at_fpr_1", "tpr_at_fpr_5"}
    for label in (0, 1):
        found = measure([label, label], [0.4, 0.6])
        assert {name for name, value in found.items() if value is None} == undefined
    assert measure([], []) == dict.fromkeys(MEASURES)
    assert intervals([0, 1], [0.2, 0.7], ["a", "a"]) == dict.fromkeys(MEASURES)
    # Two sources of one label each: in about half of the replicates there is but one label.
    found = intervals([0, 1, 1], [0.2, 0.7, 0.6], ["a", "b", "b"], 200)
    assert found["log_loss"]
    assert intervals([0] * 9 + [1], [0.1] * 10, list("abcdefghij"), 200)["auc"] == [0.5, 0.5]


@given(LABELLED)
@settings(max_examples=60)
def test_the_same_as_counted_one_by_one(labelled):
    labels, scores = np.array(labelled).T
    scores = scores / 10
    found = measure(labels, scores)
    assert found["log_loss"] == pytest.approx(log_loss(labels, scores))
    assert found["accuracy"] == pytest.approx(accuracy(labels, scores))
    assert found["auc"] == (None if auc(labels, scores) is None else pytest.approx(auc(labels, scores)))
    both = 0 < labels.sum() < len(labels)
    precisions = [(labels[scores >= threshold].mean()) for threshold in scores[labels == 1]]
    assert found["average_precision"] == (pytest.approx(np.mean(precisions)) if both else None)
    if both:
        false, true, _ = roc_curve(labels, scores)
        for name, rate in (("tpr_at_fpr_1", 0.01), ("tpr_at_fpr_5", 0.05)):
            assert found[name] == pytest.approx(true[false <= rate].max())
        equal = found["equal_error_rate"]
        along = np.interp(np.linspace(0, 1, 2001), np.linspace(0, 1, len(false)), false)
        across = np.interp(np.linspace(0, 1, 2001), np.linspace(0, 1, len(true)), true)
        nearest = np.abs(along + across - 1).argmin()
        assert equal == pytest.approx(along[nearest], abs=len(false) / 1000)
    of_bin = [np.minimum((10 * scores).astype(int), 9) == number for number in range(10)]
    gaps = sum(abs((scores - labels)[inside].sum()) for inside in of_bin)
    assert found["calibration_error"] == pytest.approx(gaps / len(labels))


@given(LABELLED, st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_weight_counts_as_so_many_copies(labelled, seed):
    labels, scores = np.array(labelled).T
    scores = scores / 10
    weights = np.random.default_rng(seed).integers(0, 4, len(labels))
    if weights.sum():
        order = np.argsort(-scores)
        found = measures._weighted(labels[order], scores[order], weights[None, order].astype(float))
        repeated = measure(np.repeat(labels, weights), np.repeat(scores, weights))
        for name in MEASURES:
            value = None if np.isnan(found[name][0]) else found[name][0]
            assert value == (None if repeated[name] is None else pytest.approx(repeated[name]))


@given(LABELLED, st.integers(1, 5))
@settings(max_examples=20)
def test_properties_of_intervals(labelled, sources):
    labels, scores = np.array(labelled).T
    names = [f"source {number % sources}" for number in range(len(labels))]
    found = intervals(labels, scores / 10, names, 50)
    assert found == intervals(labels, scores / 10, names, 50)
    highest = measure([0], [1.0])["log_loss"]
    for name, interval in found.items():
        if interval is not None:
            assert 0 <= interval[0] <= interval[1]
            assert interval[1] <= (highest if "log_loss" in name else 1) + 1e-9


def test_blocks_make_no_difference(monkeypatch):
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 40), rng.random(40)
    names = [str(number // 2) for number in range(40)]
    whole = intervals(labels, scores, names, 100)
    monkeypatch.setattr(measures, "BLOCK", 7 * 40)
    assert intervals(labels, scores, names, 100) == whole


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    """The accuracy of a coin that is right 8 times of 10, seen 60 times: in 100 repetitions."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        scores = np.where(rng.random(60) < 0.8, 0.9, 0.1)
        low, high = intervals(np.ones(60), scores, [str(number) for number in range(60)], 200)["accuracy"]
        held += low <= 0.8 <= high
    assert 85 <= held <= 100


def test_clips_of_one_source_are_no_independent_witnesses():
    rng = np.random.default_rng(2)
    labels, scores = np.repeat([0, 1], 50), np.repeat(rng.random(20), 5)
    alone = intervals(labels, scores, [str(number) for number in range(100)])["log_loss"]
    together = intervals(labels, scores, [str(number // 5) for number in range(100)])["log_loss"]
    assert together[1] - together[0] > 1.3 * (alone[1] - alone[0])


def test_the_curve_by_hand():
    false, true, thresholds = roc_curve([1, 0, 1, 0], [0.9, 0.7, 0.7, 0.2])
    np.testing.assert_array_equal(false, [0, 0, 0.5, 1])
    np.testing.assert_array_equal(true, [0, 0.5, 1, 1])
    np.testing.assert_array_equal(thresholds, [np.inf, 0.9, 0.7, 0.2])
    assert np.isnan(roc_curve([1], [0.5])[0]).all()


@given(LABELLED)
@settings(max_examples=30)
def test_the_area_under_the_curve_is_the_auc(labelled):
    labels, scores = np.array(labelled).T
    if 0 < labels.sum() < len(labels):
        false, true, _ = roc_curve(labels, scores / 10)
        assert np.trapezoid(true, false) == pytest.approx(auc(labels, scores))


def test_bins_by_hand():
    lower, upper = reliability_bins([1, 0, 1, 1, 0], [0.95, 1.0, 0.3, 0.4, 0.2], 2)
    assert (lower["count"], lower["score"], lower["fake"]) == (3, pytest.approx(0.3), pytest.approx(2 / 3))
    assert (upper["count"], upper["score"], upper["fake"]) == (2, pytest.approx(0.975), 0.5)
    assert lower["interval"] == wilson(2 / 3, 3)
    assert len(reliability_bins([1, 0], [0.5, 0.5], 10)) == 2
    assert reliability_bins([], [], 3) == []


def test_the_interval_of_a_mean_is_that_of_the_measure():
    """The Brier score is a mean over scores, whose interval is known."""
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 60), rng.random(60)
    sources = [f"source {number % 7}" for number in range(60)]
    found = mean_interval((scores - labels) ** 2, sources)
    assert found == pytest.approx(intervals(labels, scores, sources)["brier"])
    assert mean_interval(scores, ["one"] * 60) is None


@pytest.mark.parametrize("count", [1, 12, 1000])
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_interval_of_a_share(share, count):
    """Its ends are the shares from which the one that was found is just not too far, in their standard errors."""
    for end in wilson(share, count):
        assert 0 <= end <= 1
        if end != share:  # the far end of an interval at 0 or 1
            assert abs(share - end) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / count), rel=1e-5, abs=1e-9)
    low, high = wilson(share, count)
    assert low <= share <= high
    assert low < high
