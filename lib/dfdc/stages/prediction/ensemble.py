"""From probabilities of faces to the score of a video."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.system.errors import UserError


def ensemble_settings(section: Mapping[str, Any], calibration: str | Path) -> EnsembleSettings:
    """The section ``ensemble`` of the config with the number that it asks for.

    With ``calibration: published`` that is its own exponent. With ``exponent`` or ``temperature`` it is the one fitted
    on validation data, from the file ``calibration`` (results/validation/calibration.json), which else is not read.
    Raises UserError if it holds none.
    """
    rest = {key: value for key, value in section.items() if key != "calibration"}
    wanted = section["calibration"]
    if wanted == "published":
        return EnsembleSettings(**rest)
    try:
        value = json.loads(Path(calibration).read_text(encoding="utf-8"))[wanted][wanted]
    except FileNotFoundError:
        raise UserError(
            f"ensemble.calibration in the config is {wanted}, but there is no {calibration}. Make it (snakemake "
            "results/validation/calibration.json), or set it to published."
        ) from None
    if value is None:
        raise UserError(
            f"ensemble.calibration in the config is {wanted}, but {calibration} has none: there are no validation "
            "pairs to fit it on. Keep more out of training (validation.share or .parts), or set it to published."
        )
    return EnsembleSettings(**(rest | {wanted: value}))


def confident(probabilities: np.ndarray, settings: EnsembleSettings) -> np.ndarray:
    """Probabilities moved away from 0.5: a distance d becomes |d| ** exponent, then they are clipped.

    Networks that were trained on mixtures are less sure than they could be, which costs log loss. With a temperature T
    the log odds are divided by T instead (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section
    4.2).
    """
    probabilities = np.asarray(probabilities, np.float64)
    if settings.temperature is None:
        distance = probabilities - 0.5
        moved = 0.5 + np.sign(distance) * np.abs(distance) ** settings.exponent
    else:
        inside = np.clip(probabilities, 1e-15, 1 - 1e-15)
        moved = 1 / (1 + ((1 - inside) / inside) ** (1 / settings.temperature))
    return np.clip(moved, *settings.clip)


def combine(probabilities: np.ndarray, settings: EnsembleSettings) -> float:
    """The score of a video: the mean of the moved probabilities of its faces, weighted by |p - 0.5|.

    A face of which the network is unsure (in profile, blurred) so counts little. Without faces: ``unknown``.
    """
    return float(combine_each(probabilities, np.zeros(len(probabilities), np.int64), 1, settings)[0])


def combine_each(probabilities: np.ndarray, numbers: np.ndarray, count: int, settings: EnsembleSettings) -> np.ndarray:
    """The scores of ``count`` videos, see ``combine``: each face has a probability and the number of its video."""
    probabilities = np.asarray(probabilities, np.float64)
    weights = np.abs(probabilities - 0.5) + settings.weight_offset
    sums = np.bincount(numbers, weights * confident(probabilities, settings), count)
    totals = np.bincount(numbers, weights, count)
    means = np.divide(sums, totals, out=np.zeros(count), where=totals > 0)
    # The mean of equal numbers can be a last digit beside them.
    return np.where(totals > 0, np.clip(means, *settings.clip), settings.unknown)


def video_scores(videos: Iterable[str], scores: Sequence[pa.Table], settings: EnsembleSettings) -> dict[str, float]:
    """The score of each video from tables of scores of any number of models; every face counts once."""
    names = sorted(videos)
    numbers, probabilities = faces_of(names, scores)
    return dict(zip(names, combine_each(probabilities, numbers, len(names), settings).tolist(), strict=True))


def faces_of(names: Sequence[str], scores: Sequence[pa.Table]) -> tuple[np.ndarray, np.ndarray]:
    """Of the faces in tables of scores that belong to some videos the number of the video, and the probability."""
    if not scores:
        return np.zeros(0, np.int64), np.zeros(0)
    faces = pa.concat_tables(scores)
    numbers = pd.Index(names).get_indexer(faces["video"].to_pandas())
    return numbers[numbers >= 0], faces["probability"].to_numpy()[numbers >= 0]


def submission_csv(scores: Mapping[str, float]) -> str:
    """The submission as Kaggle takes it: a header, then a row per video, sorted by file name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("filename", "label"))
    writer.writerows((video, f"{score:.8f}") for video, score in sorted(scores.items()))
    return text.getvalue()
