"""Metrics of scores in [0, 1] against labels 0 and 1, their confidence intervals, and curves.

These are for final scores. The metrics used during training are in ``metrics``, so that a new metric here does not
make trainings run again.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dfdc.seeding import generator
from dfdc.stages.evaluation.metrics import LOG_LOSS_CLIP

MEASURES = ("log_loss", "balanced_log_loss", "auc", "average_precision", "calibration_error", "brier", "accuracy")
BINS = 10  # of equal width, from 0 to 1
REPLICATES = 1000
LEVEL = 0.95
BLOCK = 1_000_000  # weights in memory at a time


def measure(labels: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    """All metrics of N scores against N labels; None if undefined.

    - ``log_loss``: mean binary cross-entropy, scores clipped by 1e-15.
    - ``balanced_log_loss``: the mean of the log losses of real and of fake samples.
    - ``auc``: the probability that a fake scores higher than a real one; ties count half.
    - ``average_precision``: the sum of precision times the increase in recall over all thresholds, from the highest;
      tied scores are one step.
    - ``calibration_error``: the expected calibration error, the mean over 10 bins of equal width of
      |mean score - fraction of fakes|, weighted by the number of scores in the bin (Guo et al., "On Calibration of
      Modern Neural Networks", ICML 2017, section 2, for the probability of being fake). It is biased upwards for few
      scores, and more so in the replicates of ``intervals``.
    - ``brier``: the mean of (score - label)².
    - ``accuracy``: the fraction of correct classifications at a threshold of 0.5; a score of 0.5 counts as real.

    Without scores none is defined; balanced log loss, AUC and average precision need both labels.
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
    rng = generator(0, "bootstrap")
    size = max(BLOCK // len(scores), 1)
    blocks = []
    for first in range(0, replicates, size):
        draws = rng.integers(len(names), size=(min(size, replicates - first), len(names)))
        counts = np.stack([np.bincount(drawn, minlength=len(names)) for drawn in draws])
        blocks.append(_weighted(labels, scores, counts[:, source].astype(np.float64)))
    return {name: np.concatenate([block[name] for block in blocks]) for name in MEASURES}


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


def reliability_bins(labels: np.ndarray, scores: np.ndarray, bins: int = BINS) -> list[dict[str, Any]]:
    """The data of a reliability diagram, for bins of equal width.

    Each has ``low``, ``high``, ``count``, ``score`` (the mean) and ``fake`` (the fraction of fakes); the last two are
    None in an empty bin.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    bin_of = _bins(scores, bins)
    rows = []
    for number in range(bins):
        inside = bin_of == number
        count = int(inside.sum())
        rows.append(
            {
                "low": number / bins,
                "high": (number + 1) / bins,
                "count": count,
                "score": float(scores[inside].mean()) if count else None,
                "fake": float((labels[inside] == 1).mean()) if count else None,
            }
        )
    return rows


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
        auc, average_precision = _ranked(*(_totals(values, steps) for values in (weights, weights * fake)))
        return {
            "log_loss": loss / total,
            "balanced_log_loss": (loss_of_fakes / fakes + (loss - loss_of_fakes) / (total - fakes)) / 2,
            "auc": auc,
            "average_precision": average_precision,
            "calibration_error": np.abs(_totals(weights * (scores - fake), bins)).sum(1) / total,
            "brier": _sums(weights, (scores - fake) ** 2) / total,
            "accuracy": _sums(weights, (scores > 0.5) == fake) / total,
        }


def _ranked(both: np.ndarray, fakes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC and average precision of each row, from the numbers of all items and of fakes at each distinct score.

    The scores are in descending order.
    """
    reals = both - fakes
    above, fakes_above = both.cumsum(1), fakes.cumsum(1)
    all_fakes, all_reals = fakes_above[:, -1], above[:, -1] - fakes_above[:, -1]
    wins = (fakes * (all_reals[:, None] - (above - fakes_above) + reals / 2)).sum(1)
    precision = np.divide(fakes_above, above, out=np.zeros_like(above), where=above > 0)
    gained = np.where(all_reals > 0, (fakes * precision).sum(1), np.nan)
    return wins / (all_fakes * all_reals), gained / all_fakes


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
