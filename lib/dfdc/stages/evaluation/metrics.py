"""Metrics of scores in [0, 1] against labels 0 and 1."""

import numpy as np

LOG_LOSS_CLIP = 1e-15


def log_loss(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean binary cross-entropy of scores in [0, 1] against labels 0 and 1; scores are clipped by 1e-15."""
    scores = np.clip(np.asarray(scores, np.float64), LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    return float(-np.mean(np.where(np.asarray(labels) == 1, np.log(scores), np.log1p(-scores))))


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve: the probability that a fake scores higher than a real sample; ties count half.

    None unless both labels occur.
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    real, fake = np.sort(scores[labels == 0]), scores[labels == 1]
    if not len(real) or not len(fake):
        return None
    below, not_above = np.searchsorted(real, fake, "left"), np.searchsorted(real, fake, "right")
    return float((below + not_above).sum() / (2 * len(real) * len(fake)))


def accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """The fraction of correct classifications at a threshold of 0.5; a score of exactly 0.5 counts as real."""
    return float(np.mean((np.asarray(scores) > 0.5) == (np.asarray(labels) == 1)))
