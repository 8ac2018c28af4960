"""Evaluation of the models on validation clips, and calibration."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dfdc.data.schemas.evaluation import Evaluated
from dfdc.stages.evaluation.calibration import LIMITS, calibrate, with_value
from dfdc.stages.evaluation.report import FACE_HEIGHTS, PARAMETERS, Answers, between, compare, groups
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings

PLAIN = "plain"


def evaluate_validation(
    scores_of: Mapping[str, pa.Table],
    methods: Mapping[tuple[str, str], str],
    enlarge: float,
    settings: EnsembleSettings,
) -> tuple[dict[str, Any], dict[str, Any], list[Evaluated]]:
    """Evaluate each model, each pair of models and the ensemble on single clips; returns report, calibration, scores.

    ``scores_of`` has the validation scores of each model; ``methods`` gives the method of a fake by (part, fake), if
    known; ``enlarge`` is the factor by which the boxes of the clips were enlarged. The report covers each condition,
    and groups of the plain clips; the calibration (see ``calibration.calibrate``) is fitted on the plain clips.

    A clip is scored like a video in prediction, except for the frames: each model scores the frames that it takes from
    a clip in training, so its weight in the ensemble is proportional to their number.
    """
    models = sorted(scores_of)
    frames = pd.concat([scores_of[model].to_pandas(use_threads=False).assign(model=model) for model in models])
    conditions, rows = {}, []
    for condition in dict.fromkeys([PLAIN, *frames["condition"]]):
        clips, answers = _answers(frames[frames["condition"] == condition], models, methods)
        conditions[condition], scores = compare(answers, settings, "clips")
        rows += (row for name in scores for row in _rows(clips, condition, name, "published", scores[name]))

    clips, answers = _answers(frames[frames["condition"] == PLAIN], models, methods)
    heights = [between(height / enlarge, FACE_HEIGHTS, "pixels") for height in clips["height"]]
    keys = {"face_height": heights, "method": list(clips["method"])}
    numbers, probabilities = answers.faces_of(models)
    calibration = calibrate(probabilities, numbers, answers.labels, answers.sources, settings)
    for kind in LIMITS:
        if calibration[kind][kind] is not None:
            fitted = with_value(settings, kind, calibration[kind][kind])
            rows += _rows(clips, PLAIN, "ensemble", kind, answers.scores(models, fitted))
    of_groups = groups(answers, answers.scores(models, settings), keys, "clips")
    return {"conditions": conditions, "groups": of_groups, **PARAMETERS}, calibration, rows


def _rows(
    clips: pd.DataFrame, condition: str, models: str, calibration: str, scores: np.ndarray
) -> Iterator[Evaluated]:
    """The score of each clip."""
    for clip, score in zip(clips.itertuples(), scores.tolist(), strict=True):
        yield Evaluated(
            part=clip.part,
            video=clip.real if clip.label == "REAL" else clip.fake,
            clip=clip.clip,
            source=f"{clip.part}/{clip.real}",
            method=clip.method,
            label=int(clip.label == "FAKE"),
            condition=condition,
            models=models,
            calibration=calibration,
            score=score,
        )


def _answers(
    frames: pd.DataFrame, models: list[str], methods: Mapping[tuple[str, str], str]
) -> tuple[pd.DataFrame, Answers]:
    """The clips of some scored frames, sorted, and the models' scores of them."""
    key = ["part", "real", "fake", "label", "clip"]
    clips = frames.drop_duplicates(key)[[*key, "height"]].sort_values(key, ignore_index=True)
    clips["method"] = [
        methods.get((clip.part, clip.fake), "") if clip.label == "FAKE" else "" for clip in clips.itertuples()
    ]
    number_of = pd.MultiIndex.from_frame(clips[["part", "clip"]])
    faces = {}
    for model in models:
        of_model = frames[frames["model"] == model]
        numbers = number_of.get_indexer(pd.MultiIndex.from_frame(of_model[["part", "clip"]]))
        faces[model] = numbers.astype(np.int64), of_model["probability"].to_numpy()
    return clips, Answers(
        [f"{clip.part}/{clip.clip}" for clip in clips.itertuples()],
        (clips["label"] == "FAKE").to_numpy().astype(np.int64),
        [f"{clip.part}/{clip.real}" for clip in clips.itertuples()],
        faces,
    )
