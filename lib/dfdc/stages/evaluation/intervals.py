"""Metrics of scores in [0, 1] against labels 0 and 1, their confidence intervals, and curves.

These are for final scores. The metrics used during training are in ``metrics``, so that a new metric here does not
make trainings run again.
"""

from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from dfdc.data.seeding import generator
from dfdc.stages.evaluation.metrics import LOG_LOSS_CLIP

# The false positive rates at which the true positive rate is given, by the name of the measure.
FALSE_POSITIVE_RATES = {"tpr_at_fpr_1": 0.01, "tpr_at_fpr_5": 0.05}
MEASURES = (
    *("log_loss", "balanced_log_loss", "auc", "average_precision", "equal_error_rate", *FALSE_POSITIVE_RATES),
    *("calibration_error", "brier", "accuracy"),
)
BINS = 10  # of equal width, from 0 to 1
REPLICATES = 1000
LEVEL = 0.95
ROUNDING = 1e-12  # of rates, which are quotients of counts
BLOCK = 1_000_000  # weights in memory at a time


def measure(labels: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    """All metrics of N scores against N labels; None if undefined.

    - ``log_loss``: mean binary cross-entropy, scores clipped by 1e-15.
    - ``balanced_log_loss``: the mean of the log losses of real and of fake samples.
    - ``auc``: the probability that a fake scores higher than a real one; ties count half.
    - ``average_precision``: the sum of precision times the increase in recall over all thresholds, from the highest;
      tied scores are one step.
    - ``equal_error_rate``: where the ROC curve, straight between its points, has as many false positives among the real
      samples as false negatives among the fakes.
    - ``tpr_at_fpr_1``, ``tpr_at_fpr_5``: the fraction of fakes found with a threshold that takes at most 1 % (5 %) of
      the real samples for fakes. With fewer than 100 (20) real samples none may be taken for a fake.
    - ``calibration_error``: the expected calibration error, the mean over 10 bins of equal width of
      |mean score - fraction of fakes|, weighted by the number of scores in the bin (Guo et al., "On Calibration of
      Modern Neural Networks", ICML 2017, section 2, for the probability of being fake). It is biased upwards for few
      scores, and more so in the replicates of ``intervals``.
    - ``brier``: the mean of (score - label)².
    - ``accuracy``: the fraction of correct classifications at a threshold of 0.5; a score of 0.5 counts as real.

    Without scores none is defined; balanced log loss and those from AUC to ``tpr_at_fpr_5`` need both labels.
    """
    _, (labels, scores) = _sorted(labels, scores)
    values = _weighted(labels, scores, np.ones((1, len(scores))))
    return {name: None if np.isnan(values[name][0]) else float(values[name][0]) for name in MEASURES}


def intervals(
    labels: np.ndarray, scores: np.ndarray, sources: Sequence[str], replicates: int = REPLICATES
) -> dict[str, list[float] | None]:
    """The 95 % confidence interval of each metric, by a percentile bootstrap over sources (cluster bootstrap).

    Sources are resampled with replacement, each with all its scores, because videos of one source are not independent.
    The draws depend only on the number of sources, so that systems with the same sources are compared on the same
    draws. None with fewer than two sources, or if the metric is undefined in more than half of the replicates.
    """
    values = _replicated(labels, scores, sources, replicates)
    return {name: _interval(values[name]) if values else None for name in MEASURES}


def intervals_of_differences(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    sources: Sequence[str],
    replicates: int = REPLICATES,
) -> dict[str, list[float] | None]:
    """The 95 % confidence interval of each metric of the scores ``second`` minus that of ``first``, of the same items.

    A paired bootstrap: each replicate has the same items for both scores. Otherwise like ``intervals``.
    """
    before, after = (_replicated(labels, scores, sources, replicates) for scores in (first, second))
    return {name: _interval(after[name] - before[name]) if before else None for name in MEASURES}


def _replicated(
    labels: np.ndarray, scores: np.ndarray, sources: Sequence[str], replicates: int
) -> dict[str, np.ndarray]:
    """The values of each metric in the replicates of the bootstrap, nan where undefined; empty with fewer than two
    sources."""
    names, source = np.unique(np.asarray(sources, dtype=str), return_inverse=True)
    if len(names) < 2:
        return {}
    order, (labels, scores) = _sorted(labels, scores)
    source = source[order]
    blocks = [_weighted(labels, scores, weights) for weights in _resampled(source, len(names), replicates)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in MEASURES}


def mean_interval(values: np.ndarray, sources: Sequence[str], replicates: int = REPLICATES) -> list[float] | None:
    """The 95 % confidence interval of the mean of some values, by the bootstrap of ``intervals``."""
    names, source = np.unique(np.asarray(sources, dtype=str), return_inverse=True)
    if len(names) < 2:
        return None
    blocks = [_sums(weights, values) / weights.sum(1) for weights in _resampled(source, len(names), replicates)]
    return _interval(np.concatenate(blocks))


def _resampled(source: np.ndarray, sources: int, replicates: int) -> Iterator[np.ndarray]:
    """How often each item is in each replicate, R x N, in blocks of replicates; ``source``: each item's, by number."""
    rng = generator(0, "bootstrap")
    size = max(BLOCK // len(source), 1)
    for first in range(0, replicates, size):
        draws = rng.integers(sources, size=(min(size, replicates - first), sources))
        counts = np.stack([np.bincount(drawn, minlength=sources) for drawn in draws])
        yield counts[:, source].astype(np.float64)


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False positive rates, true positive rates and thresholds; scores of at least the threshold count as fake.

    From (0, 0) at infinity to (1, 1) at the lowest score, with a point for each distinct score. A rate is nan if its
    label does not occur.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    thresholds = np.unique(scores)[::-1]
    rates = []
    for label in (0, 1):
        of_label = np.sort(scores[labels == label])
        above = len(of_label) - np.searchsorted(of_label, thresholds, "left")
        with np.errstate(invalid="ignore"):
            rates.append(np.concatenate([[0], above]) / np.float64(len(of_label)))
    return rates[0], rates[1], np.concatenate([[np.inf], thresholds])


def reliability_bins(labels: np.ndarray, scores: np.ndarray, bins: int) -> list[dict[str, Any]]:
    """The data of a reliability diagram, for up to ``bins`` bins of equally many scores, give or take one.

    Each has ``count``, ``score`` (the mean), ``fake`` (the fraction of fakes), and ``interval``, the 95 % interval of
    that fraction (Wilson, "Probable inference, the law of succession, and statistical inference", 1927).
    """
    order = np.argsort(scores, kind="stable")
    rows = []
    for inside in np.array_split(order, min(bins, len(order)) or 1):
        if count := len(inside):
            fake = float((np.asarray(labels)[inside] == 1).mean())
            rows.append(
                {
                    "count": count,
                    "score": float(np.asarray(scores, np.float64)[inside].mean()),
                    "fake": fake,
                    "interval": wilson(fake, count),
                }
            )
    return rows


def wilson(share: float, count: int) -> list[float]:
    """The 95 % score interval of a share of ``count`` independent items (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    # Rounding can put the end of an interval that begins at 0, or ends at 1, on the wrong side of the share.
    return [min(max(float(centre - half), 0.0), share), max(min(float(centre + half), 1.0), share)]


def _sorted(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The order of descending scores, and the labels and scores in that order."""
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    order = np.argsort(-scores, kind="stable")
    return order, (labels[order], scores[order])


def _weighted(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each metric for each row of R x N weights; weights[r, n] is the multiplicity of score n; nan if undefined.

    The scores are sorted in descending order.
    """
    if len(scores) == 0:
        return {name: np.full(len(weights), np.nan) for name in MEASURES}
    fake = labels == 1
    clipped = np.clip(scores, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    losses = -np.where(fake, np.log(clipped), np.log1p(-clipped))
    total, fakes = weights.sum(1), _sums(weights, fake)
    loss, loss_of_fakes = _sums(weights, losses), _sums(weights, losses * fake)
    # The starts of runs of equal scores, and of scores in the same bin.
    steps = np.flatnonzero(np.diff(scores, prepend=np.inf))
    bins = np.flatnonzero(np.diff(_bins(scores, BINS), prepend=BINS))
    with np.errstate(divide="ignore", invalid="ignore"):
        ranked = _ranked(*(_totals(values, steps) for values in (weights, weights * fake)))
        return {
            "log_loss": loss / total,
            "balanced_log_loss": (loss_of_fakes / fakes + (loss - loss_of_fakes) / (total - fakes)) / 2,
            **ranked,
            "calibration_error": np.abs(_totals(weights * (scores - fake), bins)).sum(1) / total,
            "brier": _sums(weights, (scores - fake) ** 2) / total,
            "accuracy": _sums(weights, (scores > 0.5) == fake) / total,
        }


def _ranked(both: np.ndarray, fakes: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of each row that follow from the order alone: AUC, average precision and those of the ROC curve.

    ``both`` and ``fakes`` are the numbers of all items and of fakes at each distinct score, in descending order.
    """
    reals = both - fakes
    above, fakes_above = both.cumsum(1), fakes.cumsum(1)
    all_fakes, all_reals = fakes_above[:, -1], above[:, -1] - fakes_above[:, -1]
    wins = (fakes * (all_reals[:, None] - (above - fakes_above) + reals / 2)).sum(1)
    precision = np.divide(fakes_above, above, out=np.zeros_like(above), where=above > 0)
    gained = np.where(all_reals > 0, (fakes * precision).sum(1), np.nan)
    false = (above - fakes_above) / all_reals[:, None]
    true = fakes_above / all_fakes[:, None]
    return {
        "auc": wins / (all_fakes * all_reals),
        "average_precision": gained / all_fakes,
        "equal_error_rate": _equal_error_rate(false, true),
        **{name: _true_positive_rate(false, true, rate) for name, rate in FALSE_POSITIVE_RATES.items()},
    }


def _true_positive_rate(false: np.ndarray, true: np.ndarray, rate: float) -> np.ndarray:
    """The highest true positive rate of each row at a false positive rate of at most ``rate``."""
    highest = np.where(false <= rate + ROUNDING, true, 0).max(1)
    return np.where(np.isnan(false[:, -1] + true[:, -1]), np.nan, highest)


def _equal_error_rate(false: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The false positive rate of each row where it equals the false negative rate, between points by a straight line.

    The curves lead from (0, 0), which is not among the points, to (1, 1).
    """
    rows = np.arange(len(false))
    after = np.argmax(false + true >= 1 - ROUNDING, axis=1)  # the first point on or beyond the line false = 1 - true
    start = [np.where(after > 0, values[rows, after - 1], 0) for values in (false, true)]
    end = [values[rows, after] for values in (false, true)]
    missing, gained = 1 - start[0] - start[1], end[0] + end[1] - start[0] - start[1]
    return start[0] + (end[0] - start[0]) * missing / gained


def _totals(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """For each row, the sums of the segments that begin at ``starts``."""
    return values if len(starts) == values.shape[1] else np.add.reduceat(values, starts, axis=1)


def _bins(scores: np.ndarray, bins: int) -> np.ndarray:
    return np.minimum((scores * bins).astype(np.int64), bins - 1)


def _sums(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    # Not with @: the summation order of BLAS depends on the number of cores.
    return np.einsum("rn,n->r", weights, values.astype(np.float64))


def _interval(values: np.ndarray) -> list[float] | None:
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values):
        return None
    return [float(limit) for limit in np.quantile(defined, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))]
