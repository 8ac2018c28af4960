"""How good the scores of videos are when the labels are known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dfdc.ensemble import EnsembleSettings, video_scores
from dfdc.metrics import LOG_LOSS_CLIP, accuracy, auc, log_loss
from dfdc.tables import pa


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
