"""How good numbers from 0 to 1 are as answers when the labels, 0 and 1, are known."""

import numpy as np

LOG_LOSS_CLIP = 1e-15


def log_loss(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean binary cross-entropy of scores in [0, 1] against labels 0 and 1; scores are clipped by 1e-15."""
    scores = np.clip(np.asarray(scores, np.float64), LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    return float(-np.mean(np.where(np.asarray(labels) == 1, np.log(scores), np.log1p(-scores))))


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve: how often a fake scores higher than a real one, ties half.

    None where there are only fakes or only real ones.
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    real, fake = np.sort(scores[labels == 0]), scores[labels == 1]
    if not len(real) or not len(fake):
        return None
    below, not_above = np.searchsorted(real, fake, "left"), np.searchsorted(real, fake, "right")
    return float((below + not_above).sum() / (2 * len(real) * len(fake)))


def accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """The share of videos on the right side of 0.5; a score of exactly 0.5 counts as real."""
    return float(np.mean((np.asarray(scores) > 0.5) == (np.asarray(labels) == 1)))
