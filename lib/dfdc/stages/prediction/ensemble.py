"""From face probabilities to video scores."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.system.checksums import read_json
from dfdc.system.errors import UserError


def ensemble_settings(section: Mapping[str, Any], calibration: str | Path) -> EnsembleSettings:
    """The settings of the section ``ensemble`` of the config, with the calibration that it names.

    With ``calibration: published`` the exponent is that of the section. With ``exponent`` or ``temperature`` the
    parameter is the one fitted on validation data, read from the file ``calibration``
    (results/validation/calibration.json). Raises UserError if the file is missing, damaged, or has no fitted value.
    """
    rest = {key: value for key, value in section.items() if key != "calibration"}
    kind = section["calibration"]
    if kind == "published":
        return EnsembleSettings(**rest)
    try:
        value = read_json(calibration)[kind][kind]
    except FileNotFoundError:
        raise UserError(
            f"ensemble.calibration in the config is {kind}, but there is no {calibration}. Create it (snakemake "
            "results/validation/calibration.json), or set ensemble.calibration to published."
        ) from None
    if value is None:
        raise UserError(
            f"ensemble.calibration in the config is {kind}, but {calibration} has no fitted value: there are no "
            "validation pairs. Increase validation.share or name parts in validation.parts, or set "
            "ensemble.calibration to published."
        )
    return EnsembleSettings(**(rest | {kind: value}))


def confident(probabilities: np.ndarray, settings: EnsembleSettings) -> np.ndarray:
    """Sharpen probabilities: the distance d from 0.5 becomes |d| ** exponent (with its sign); then clip them.

    Networks trained with mixup are underconfident, which increases the log loss. With a temperature T the log odds are
    divided by T instead (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2).
    """
    probabilities = np.asarray(probabilities, np.float64)
    if settings.temperature is None:
        distance = probabilities - 0.5
        sharpened = 0.5 + np.sign(distance) * np.abs(distance) ** settings.exponent
    else:
        inside = np.clip(probabilities, 1e-15, 1 - 1e-15)
        sharpened = 1 / (1 + ((1 - inside) / inside) ** (1 / settings.temperature))
    return np.clip(sharpened, *settings.clip)


def combine(probabilities: np.ndarray, settings: EnsembleSettings) -> float:
    """The score of a video: the mean of the sharpened probabilities of its faces, weighted by |p - 0.5|.

    Uncertain faces (in profile, blurred) therefore have little weight. Without faces: ``settings.unknown``.
    """
    return float(combine_each(probabilities, np.zeros(len(probabilities), np.int64), 1, settings)[0])


def combine_each(probabilities: np.ndarray, numbers: np.ndarray, count: int, settings: EnsembleSettings) -> np.ndarray:
    """The scores of ``count`` videos, see ``combine``: each face has a probability and the number of its video."""
    probabilities = np.asarray(probabilities, np.float64)
    weights = np.abs(probabilities - 0.5) + settings.weight_offset
    sums = np.bincount(numbers, weights * confident(probabilities, settings), count)
    totals = np.bincount(numbers, weights, count)
    means = np.divide(sums, totals, out=np.zeros(count), where=totals > 0)
    # Rounding can push the mean of equal values slightly outside the clipping range.
    return np.where(totals > 0, np.clip(means, *settings.clip), settings.unknown)


def video_scores(videos: Iterable[str], scores: Sequence[pa.Table], settings: EnsembleSettings) -> dict[str, float]:
    """The score of each video, from the face scores of any number of models; all faces are pooled."""
    names = sorted(videos)
    numbers, probabilities = faces_of(names, scores)
    return dict(zip(names, combine_each(probabilities, numbers, len(names), settings).tolist(), strict=True))


def faces_of(names: Sequence[str], scores: Sequence[pa.Table]) -> tuple[np.ndarray, np.ndarray]:
    """The faces of the named videos in tables of scores: the index of each face's video, and its probability."""
    if not scores:
        return np.zeros(0, np.int64), np.zeros(0)
    faces = pa.concat_tables(scores)
    numbers = pd.Index(names).get_indexer(faces["video"].to_pandas(use_threads=False))
    return numbers[numbers >= 0], faces["probability"].to_numpy()[numbers >= 0]


def submission_csv(scores: Mapping[str, float]) -> str:
    """The submission in Kaggle's format: a header, then a row per video, sorted by file name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("filename", "label"))
    writer.writerows((video, f"{score:.8f}") for video, score in sorted(scores.items()))
    return text.getvalue()
