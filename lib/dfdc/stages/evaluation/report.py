"""Evaluation of the scores of labelled videos or clips."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dfdc.data.arrays import boxes_of
from dfdc.data.labels import Label
from dfdc.data.schemas.evaluation import Evaluated
from dfdc.data.schemas.videos import TestVideo
from dfdc.stages.evaluation.intervals import BINS, LEVEL, MEASURES, REPLICATES, intervals, measure
from dfdc.stages.evaluation.metrics import LOG_LOSS_CLIP
from dfdc.stages.prediction.ensemble import combine_each, faces_of
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings

# Lower limits of the groups: face height in pixels, frames per second, shorter side of the video in pixels.
FACE_HEIGHTS = (64, 128, 256)
FRAME_RATES = (20, 28, 32)
RESOLUTIONS = (360, 720, 1080)
MANY_TRACKS = 3

# The parameters of the metrics, which are written beside them.
PARAMETERS = {
    "log_loss_clip": LOG_LOSS_CLIP,
    "calibration_bins": BINS,
    "intervals": {"level": LEVEL, "replicates": REPLICATES, "over": "sources"},
}


@dataclass(frozen=True)
class Answers:
    """Labelled items (videos or clips) and the face probabilities that the models give for them.

    ``labels``: 0 (real) or 1 (fake); ``sources``: the source video of each item; ``faces``: for each model, the item
    number and the probability of each face.
    """

    names: Sequence[str]
    labels: np.ndarray
    sources: Sequence[str]
    faces: Mapping[str, tuple[np.ndarray, np.ndarray]]

    def scores(self, models: Sequence[str], settings: EnsembleSettings) -> np.ndarray:
        """The score of each item by an ensemble of the given models."""
        numbers, probabilities = self.faces_of(models)
        return combine_each(probabilities, numbers, len(self.names), settings)

    def faces_of(self, models: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The faces of the given models, concatenated: item numbers and probabilities."""
        chosen = [self.faces[model] for model in models]
        return np.concatenate([face[0] for face in chosen]), np.concatenate([face[1] for face in chosen])


def evaluate(
    labels: Mapping[str, Label],
    videos: Sequence[TestVideo],
    tracks: Sequence[pa.Table],
    scores_of: Mapping[str, Sequence[pa.Table]],
    settings: EnsembleSettings,
    calibration: str = "published",
) -> tuple[dict[str, Any], list[Evaluated]]:
    """Evaluate each model, each pair of models and the ensemble on test videos; returns the report and the scores.

    ``tracks`` are the track tables of the videos, ``scores_of`` the score tables of each model; ``calibration`` names
    the calibration that the settings use. Groups of videos are evaluated with the ensemble; a group of fakes made by
    one method is compared with all real videos.
    """
    by_name = {video.video: video for video in videos}
    names = sorted(set(by_name) & set(labels))
    of_labels = [labels[name] for name in names]
    answers = Answers(
        names,
        np.array([label.fake for label in of_labels], np.int64),
        [label.source for label in of_labels],
        {model: faces_of(names, tables) for model, tables in scores_of.items()},
    )
    result, scores = compare(answers, settings, "videos")
    faces = _faces_in(names, tracks)
    keys = {
        "face_height": [between(faces[name][1], FACE_HEIGHTS, "pixels") for name in names],
        "tracks": [_count(faces[name][0]) for name in names],
        "frame_rate": [between(by_name[name].fps, FRAME_RATES, "frames a second") for name in names],
        "resolution": [between(_shorter_side(by_name[name]), RESOLUTIONS, "pixels") for name in names],
        "method": [label.method for label in of_labels],
    }
    rows = [
        Evaluated("", name, None, label.source, label.method, label.fake, "test", models, calibration, score)
        for models, of_videos in scores.items()
        for name, label, score in zip(names, of_labels, of_videos.tolist(), strict=True)
    ]
    return {
        **result,
        "calibration": calibration,
        "groups": groups(answers, scores["ensemble"], keys, "videos"),
        "videos": {
            "total": len(by_name),
            "labelled": len(names),
            "by_status": dict(sorted(Counter(video.status for video in videos).items())),
        },
        **PARAMETERS,
    }, rows


def compare(answers: Answers, settings: EnsembleSettings, things: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metrics and scores of the ensemble, of each model, and of each pair of models.

    ``things`` is the key of the item count: videos or clips. The keys of the scores are "ensemble", the names of the
    models, and "one + other" for pairs.
    """
    models = sorted(answers.faces)
    combinations_of = {
        "models": {model: [model] for model in models},
        "pairs": {" + ".join(pair): list(pair) for pair in combinations(models, 2)},
    }
    ensemble = answers.scores(models, settings)
    result = {"ensemble": report(answers.labels, ensemble, answers.sources, things)}
    scores: dict[str, np.ndarray] = {}
    for kind, combined in combinations_of.items():
        scores |= {name: answers.scores(members, settings) for name, members in combined.items()}
        result[kind] = {name: report(answers.labels, scores[name], answers.sources, things) for name in combined}
    return result, scores | {"ensemble": ensemble}  # last, in case a model has that name


def report(labels: np.ndarray, scores: np.ndarray, sources: Sequence[str], things: str) -> dict[str, Any]:
    """The metrics of some scores, their confidence intervals, and the numbers of items and of sources."""
    if len(labels) == 0:
        return {things: 0, "sources": 0, **dict.fromkeys(MEASURES), "intervals": dict.fromkeys(MEASURES)}
    return {
        things: len(labels),
        "sources": len(set(sources)),
        **measure(labels, scores),
        "intervals": intervals(labels, scores, sources),
    }


def groups(
    answers: Answers, scores: np.ndarray, keys: Mapping[str, Sequence[str]], things: str
) -> dict[str, dict[str, Any]]:
    """A report for each group; ``keys`` gives, for each kind of group, the group of each item, or "" for none.

    Real items without a group (no method made them) are included in every group of that kind.
    """
    reports: dict[str, dict[str, Any]] = {}
    for kind, of_each in keys.items():
        group_of = np.array(of_each, dtype=str)
        everywhere = (answers.labels == 0) & (group_of == "")
        reports[kind] = {}
        for group in dict.fromkeys(sorted(filter(None, of_each), key=_natural)):
            chosen = np.flatnonzero((group_of == group) | everywhere)
            sources = [answers.sources[number] for number in chosen]
            reports[kind][group] = report(answers.labels[chosen], scores[chosen], sources, things)
    return reports


def between(value: float | None, limits: Sequence[float], unit: str) -> str:
    """The name of the range that a number falls into; "unknown" for None and 0."""
    if not value or np.isnan(value):
        return "unknown"
    place = int(np.searchsorted(limits, value, "right"))
    if place == 0:
        return f"below {limits[0]} {unit}"
    if place == len(limits):
        return f"{limits[-1]} {unit} or more"
    return f"{limits[place - 1]} to {limits[place]} {unit}"


def _natural(group: str) -> tuple[int, int, str]:
    """Sort key of group names: "below" first, then by leading number, "unknown" last."""
    digits = "".join(character for character in group.split(" ")[0] if character.isdigit())
    rank = 0 if group.startswith("below") else 2 if group == "unknown" else 1
    return rank, int(digits or 0), group


def _faces_in(names: Sequence[str], tracks: Sequence[pa.Table]) -> dict[str, tuple[int, float | None]]:
    """The number of tracks and the median face height of each video."""
    table = pa.concat_tables(tracks)
    boxes = boxes_of(table["box"])
    faces = pd.DataFrame(
        {
            "video": table["video"].to_pandas(use_threads=False),
            "track": table["track"].to_numpy(),
            "height": boxes[:, 3] - boxes[:, 1],
        }
    ).groupby("video")
    counts, heights = faces["track"].nunique(), faces["height"].median()
    return {name: (int(counts.get(name, 0)), heights.get(name)) for name in names}


def _count(tracks: int) -> str:
    return f"{tracks}" if tracks < MANY_TRACKS else f"{MANY_TRACKS} or more"


def _shorter_side(video: TestVideo) -> int | None:
    sides = (video.width, video.height)
    return None if None in sides else min(sides)
