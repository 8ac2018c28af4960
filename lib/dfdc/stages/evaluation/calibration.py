"""Calibration of scores, fitted on validation clips."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dfdc.data.seeding import generator
from dfdc.stages.evaluation.intervals import mean_interval
from dfdc.stages.evaluation.metrics import LOG_LOSS_CLIP, log_loss
from dfdc.stages.prediction.ensemble import combine_each
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings

# The parameters that can be fitted, and their ranges.
LIMITS = {"exponent": (0.1, 2.0), "temperature": (0.1, 10.0)}
FOLDS = 5
GRID = 33
STEPS = 40


def fit(
    kind: str,
    probabilities: np.ndarray,
    numbers: np.ndarray,
    labels: np.ndarray,
    settings: EnsembleSettings,
) -> float:
    """The exponent or temperature (``kind``) that minimizes the log loss of N clips.

    Each face has a probability and the number of its clip; each clip has a label. The search is over the logarithm of
    the parameter within ``LIMITS``: a grid, then a golden-section search around the best grid point.
    """

    def loss(logarithm: float) -> float:
        moved = with_value(settings, kind, math.exp(logarithm))
        return log_loss(labels, combine_each(probabilities, numbers, len(labels), moved))

    low, high = map(math.log, LIMITS[kind])
    return math.exp(_minimum(loss, low, high))


def calibrate(
    probabilities: np.ndarray,
    numbers: np.ndarray,
    labels: np.ndarray,
    sources: Sequence[str],
    settings: EnsembleSettings,
) -> dict[str, Any]:
    """The log loss of the published exponent, a fitted exponent and a fitted temperature on the same clips.

    ``log_loss`` of a fitted parameter is measured on the clips that it was fitted on. ``log_loss_left_out`` is the
    unbiased estimate by 5-fold cross-validation over sources, ``gain`` the 95 % interval of how much lower that is than
    with the published exponent. ``as_given`` only clips the probabilities. All values are None without clips;
    ``log_loss_left_out`` and ``gain`` are also None if there is only one source.

    ``better`` is the fitted parameter with the lowest log loss on left-out sources, of those whose whole ``gain`` is
    above 0; None if there is none.
    """
    has_clips = len(labels) > 0

    def loss(settings: EnsembleSettings) -> float | None:
        return log_loss(labels, combine_each(probabilities, numbers, len(labels), settings)) if has_clips else None

    result = {
        "clips": len(labels),
        "sources": len(set(sources)),
        "clip": list(settings.clip),
        "published": {"exponent": settings.exponent, "log_loss": loss(settings)},
        "as_given": {"exponent": 1.0, "log_loss": loss(with_value(settings, "exponent", 1.0))},
    }
    published = combine_each(probabilities, numbers, len(labels), settings)
    for kind, limits in LIMITS.items():
        value = fit(kind, probabilities, numbers, labels, settings) if has_clips else None
        left_out = _scores_left_out(kind, probabilities, numbers, labels, sources, settings)
        result[kind] = {
            kind: value,
            "log_loss": loss(with_value(settings, kind, value)) if has_clips else None,
            "log_loss_left_out": None if left_out is None else log_loss(labels, left_out),
            "gain": None if left_out is None else _gain(labels, published, left_out, sources),
            "at_limit": has_clips and bool(np.isclose(value, limits, rtol=1e-3).any()),
        }
    better = [kind for kind in LIMITS if result[kind]["gain"] and result[kind]["gain"][0] > 0]
    return result | {"better": min(better, key=lambda kind: result[kind]["log_loss_left_out"], default=None)}


def with_value(settings: EnsembleSettings, kind: str, value: float) -> EnsembleSettings:
    """The settings with the given exponent and no temperature, or with the given temperature."""
    return replace(settings, **({"temperature": None} | {kind: value}))


def _gain(labels: np.ndarray, published: np.ndarray, fitted: np.ndarray, sources: Sequence[str]) -> list[float] | None:
    """The 95 % interval of how much lower the log loss of the fitted scores is."""
    right, right_fitted = (
        np.clip(np.where(labels == 1, scores, 1 - scores), LOG_LOSS_CLIP, 1) for scores in (published, fitted)
    )
    return mean_interval(np.log(right_fitted) - np.log(right), sources)


def _scores_left_out(
    kind: str,
    probabilities: np.ndarray,
    numbers: np.ndarray,
    labels: np.ndarray,
    sources: Sequence[str],
    settings: EnsembleSettings,
) -> np.ndarray | None:
    """The score of each clip with the parameter that was fitted on other sources."""
    names = sorted(set(sources), key=lambda source: generator(0, "calibration fold", source).random())
    folds = min(FOLDS, len(names))
    if folds < 2:
        return None
    fold_of_source = {name: number % folds for number, name in enumerate(names)}
    fold_of = np.array([fold_of_source[source] for source in sources])
    scores = np.zeros(len(labels))
    for fold in range(folds):
        left_out = fold_of == fold
        kept = ~left_out[numbers]
        renumbered = np.cumsum(~left_out) - 1
        value = fit(kind, probabilities[kept], renumbered[numbers[kept]], labels[~left_out], settings)
        moved = with_value(settings, kind, value)
        scores[left_out] = combine_each(probabilities, numbers, len(labels), moved)[left_out]
    return scores


def _minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """The minimum of a function: the best grid point, refined by golden-section search between its neighbours."""
    grid = np.linspace(low, high, GRID)
    best = int(np.argmin([function(point) for point in grid]))
    left, right = grid[max(best - 1, 0)], grid[min(best + 1, GRID - 1)]
    ratio = (math.sqrt(5) - 1) / 2
    inner, outer = right - ratio * (right - left), left + ratio * (right - left)
    of_inner, of_outer = function(inner), function(outer)
    for _ in range(STEPS):
        if of_inner <= of_outer:
            right, outer, of_outer = outer, inner, of_inner
            inner = right - ratio * (right - left)
            of_inner = function(inner)
        else:
            left, inner, of_inner = inner, outer, of_outer
            outer = left + ratio * (right - left)
            of_outer = function(outer)
    return float((left + right) / 2)
