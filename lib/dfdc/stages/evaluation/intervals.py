"""How good scores from 0 to 1 are when the labels, 0 and 1, are known: measures, how sure they are, and curves.

These are for finished scores. What a training needs to know of itself is in ``metrics``, so that a new measure
here makes no training run again.
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
BLOCK = 1_000_000  # weights that are held at a time


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
    _, (labels, scores) = _sorted(labels, scores)
    values = _weighted(labels, scores, np.ones((1, len(scores))))
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
    order, (labels, scores) = _sorted(labels, scores)
    source = source[order]
    rng = generator(0, "bootstrap")
    size = max(BLOCK // len(scores), 1)
    found = []
    for first in range(0, replicates, size):
        draws = rng.integers(len(names), size=(min(size, replicates - first), len(names)))
        counts = np.stack([np.bincount(drawn, minlength=len(names)) for drawn in draws])
        found.append(_weighted(labels, scores, counts[:, source].astype(np.float64)))
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


def _sorted(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The order from the highest score to the lowest, and labels and scores in it."""
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    order = np.argsort(-scores, kind="stable")
    return order, (labels[order], scores[order])


def _weighted(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each measure for every row of R x N weights, as if score n was there weights[r, n] times; nan if undefined.

    The scores are sorted, the highest first.
    """
    if len(scores) == 0:
        return {name: np.full(len(weights), np.nan) for name in MEASURES}
    fake = labels == 1
    clipped = np.clip(scores, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    losses = -np.where(fake, np.log(clipped), np.log1p(-clipped))
    total, fakes = weights.sum(1), _sums(weights, fake)
    loss, loss_of_fakes = _sums(weights, losses), _sums(weights, losses * fake)
    # Scores are equal, or in one bin, from each of these places to the next.
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
    """AUC and average precision, for every row of what there is at each score, from the highest, and of its fakes."""
    reals = both - fakes
    above, fakes_above = both.cumsum(1), fakes.cumsum(1)
    all_fakes, all_reals = fakes_above[:, -1], above[:, -1] - fakes_above[:, -1]
    wins = (fakes * (all_reals[:, None] - (above - fakes_above) + reals / 2)).sum(1)
    precision = np.divide(fakes_above, above, out=np.zeros_like(above), where=above > 0)
    gained = np.where(all_reals > 0, (fakes * precision).sum(1), np.nan)
    return wins / (all_fakes * all_reals), gained / all_fakes


def _totals(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The sums of each row from each start to the next."""
    return values if len(starts) == values.shape[1] else np.add.reduceat(values, starts, axis=1)


def _bins(scores: np.ndarray, bins: int) -> np.ndarray:
    return np.minimum((scores * bins).astype(np.int64), bins - 1)


def _sums(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    # Not by @: BLAS adds in another order with another number of cores.
    return np.einsum("rn,n->r", weights, values.astype(np.float64))


def _interval(values: np.ndarray) -> list[float] | None:
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values):
        return None
    return [float(limit) for limit in np.quantile(defined, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))]
