"""How good scores from 0 to 1 are when the labels, 0 and 1, are known: measures, how sure they are, and curves.

These are for finished scores. What a training needs to know of itself is in ``dfdc.metrics``, so that a new measure
here makes no training run again.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dfdc.draws import generator
from dfdc.metrics import LOG_LOSS_CLIP

MEASURES = ("log_loss", "balanced_log_loss", "auc", "average_precision", "calibration_error", "brier", "accuracy")
BINS = 10  # of equal width, from 0 to 1
REPLICATES = 1000
LEVEL = 0.95
BLOCK = 4_000_000  # so many weights are held at a time


def measure(labels: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    """All measures of N scores against N labels; None where one is not defined.

    - ``log_loss``: mean binary cross-entropy, scores clipped by 1e-15.
    - ``balanced_log_loss``: the mean of the log losses of the real and of the fake ones.
    - ``auc``: how often a fake scores higher than a real one, ties half.
    - ``average_precision``: the sum over all scores, from the highest, of precision times the gain in recall; equal
      scores are one step.
    - ``calibration_error``: the expected calibration error, the mean over 10 bins of equal width of
      |mean score - share of fakes|, each bin weighted by what is in it (Guo et al., "On Calibration of Modern Neural
      Networks", ICML 2017, section 2, for the probability of being fake). Of few scores it is above 0 by chance, and
      more so in the replicates of ``intervals``.
    - ``brier``: the mean of (score - label)².
    - ``accuracy``: the share on the right side of 0.5, which itself counts as real.

    Without scores none is defined; without one of the labels balanced log loss, AUC and average precision are not.
    """
    values = _weighted(np.asarray(labels), np.asarray(scores, np.float64), np.ones((1, len(scores))))
    return {name: None if np.isnan(values[name][0]) else float(values[name][0]) for name in MEASURES}


def intervals(
    labels: np.ndarray, scores: np.ndarray, sources: Sequence[str], replicates: int = REPLICATES
) -> dict[str, list[float] | None]:
    """For each measure the interval that holds 95 % of its values when the sources are drawn again.

    The percentile bootstrap over clusters: as many sources as there are are drawn with replacement, each with all its
    scores, since videos of one source are no independent witnesses. The draws depend on nothing but the number of
    sources, so that two systems with the same sources are compared on the same draws. None with fewer than two
    sources, and where a measure is undefined in more than half of the replicates.
    """
    names, source = np.unique(np.asarray(sources, dtype=str), return_inverse=True)
    if len(names) < 2:
        return dict.fromkeys(MEASURES)
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    rng = generator(0, "bootstrap")
    size = max(BLOCK // len(scores), 1)
    found = []
    for first in range(0, replicates, size):
        draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), min(size, replicates - first))
        found.append(_weighted(labels, scores, draws[:, source].astype(np.float64)))
    return {name: _interval(np.concatenate([block[name] for block in found])) for name in MEASURES}


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False positive rates, true positive rates and thresholds: a score of at least the threshold says fake.

    From (0, 0) at infinity to (1, 1) at the lowest score, a point for each different score. Rates are nan where there
    are none of a label.
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
    """What a reliability diagram shows, for each bin of equal width: ``low``, ``high``, ``count``, ``score`` (the mean)
    and ``fake`` (the share of fakes); the last two are None in an empty bin."""
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


def _weighted(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each measure for every row of R x N weights, as if score n was there weights[r, n] times; nan if undefined."""
    # Sums by einsum, not by @: BLAS adds in another order with another number of cores.
    fake = labels == 1
    clipped = np.clip(scores, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    losses = -np.where(fake, np.log(clipped), np.log1p(-clipped))
    right = (scores > 0.5) == fake
    total, fakes = weights.sum(1), _sums(weights, fake)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_both = _sums(weights, losses * fake) / fakes, _sums(weights, losses * ~fake) / (total - fakes)
        auc, average_precision = _ranked(fake, scores, weights)
        return {
            "log_loss": _sums(weights, losses) / total,
            "balanced_log_loss": (of_both[0] + of_both[1]) / 2,
            "auc": auc,
            "average_precision": average_precision,
            "calibration_error": _calibration_error(fake, scores, weights),
            "brier": _sums(weights, (scores - fake) ** 2) / total,
            "accuracy": _sums(weights, right) / total,
        }


def _ranked(fake: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC and average precision, for every row of weights."""
    if len(scores) == 0:
        return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    order = np.argsort(-scores, kind="stable")
    steps = np.flatnonzero(np.diff(scores[order], prepend=np.inf))  # where the scores are lower than before
    ordered = weights[:, order]
    both = np.add.reduceat(ordered, steps, axis=1)
    fakes = np.add.reduceat(ordered * fake[order], steps, axis=1)
    reals = both - fakes
    fakes_above, reals_above = fakes.cumsum(1), reals.cumsum(1)
    all_fakes, all_reals = fakes_above[:, -1], reals_above[:, -1]
    wins = (fakes * (all_reals[:, None] - reals_above + reals / 2)).sum(1)
    seen = fakes_above + reals_above
    precision = np.divide(fakes_above, seen, out=np.zeros_like(seen), where=seen > 0)
    precision_sum = np.where(all_reals > 0, (fakes * precision).sum(1), np.nan)
    return wins / (all_fakes * all_reals), precision_sum / all_fakes


def _calibration_error(fake: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    bin_of = _bins(scores, BINS)
    gaps = np.zeros(len(weights))
    for number in np.unique(bin_of):
        inside = bin_of == number
        gaps += np.abs(_sums(weights[:, inside], (scores - fake)[inside]))
    return gaps / weights.sum(1)


def _bins(scores: np.ndarray, bins: int) -> np.ndarray:
    return np.minimum((scores * bins).astype(np.int64), bins - 1)


def _sums(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.einsum("rn,n->r", weights, values.astype(np.float64))


def _interval(values: np.ndarray) -> list[float] | None:
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values):
        return None
    return [float(limit) for limit in np.quantile(defined, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))]
