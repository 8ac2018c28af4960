"""How good scores are when the labels are known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dfdc.ensemble import EnsembleSettings, video_scores
from dfdc.tables import pa

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


def evaluate(
    labels: Mapping[str, int],
    videos: Sequence[Mapping[str, Any]],
    scores_of: Mapping[str, Sequence[pa.Table]],
    settings: EnsembleSettings,
) -> dict[str, Any]:
    """How good each model is by itself and all together, and how many videos have which status.

    ``videos`` are rows of the tables of test videos, ``scores_of`` the tables of scores of each model.
    """
    names = [video["video"] for video in videos]
    everyone = [table for tables in scores_of.values() for table in tables]
    return {
        "ensemble": evaluate_scores(labels, video_scores(names, everyone, settings)),
        "models": {
            model: evaluate_scores(labels, video_scores(names, tables, settings)) for model, tables in scores_of.items()
        },
        "videos": {
            "total": len(names),
            "labelled": len(set(names) & set(labels)),
            "by_status": dict(sorted(Counter(video["status"] for video in videos).items())),
        },
        "log_loss_clip": LOG_LOSS_CLIP,
    }


def evaluate_scores(labels: Mapping[str, int], scores: Mapping[str, float]) -> dict[str, float | int | None]:
    """Log loss, AUC and accuracy over the videos that have both a label and a score."""
    videos = sorted(set(labels) & set(scores))
    if not videos:
        return {"videos": 0, "log_loss": None, "auc": None, "accuracy": None}
    truth = np.array([labels[video] for video in videos])
    given = np.array([scores[video] for video in videos])
    return {
        "videos": len(videos),
        "log_loss": log_loss(truth, given),
        "auc": auc(truth, given),
        "accuracy": accuracy(truth, given),
    }
