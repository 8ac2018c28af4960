"""From probabilities of faces to the score of a video."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfdc.tables import pa


@dataclass(frozen=True)
class EnsembleSettings:
    """See ``confident`` and ``combine``; ``unknown`` is the score of a video without faces."""

    exponent: float = 0.65
    clip: tuple[float, float] = (0.01, 0.99)
    weight_offset: float = 1e-4
    unknown: float = 0.5


def confident(probabilities: np.ndarray, settings: EnsembleSettings) -> np.ndarray:
    """Probabilities moved away from 0.5: a distance d becomes |d| ** exponent, then they are clipped.

    Networks that were trained on mixtures are less sure than they could be, which costs log loss.
    """
    distance = np.asarray(probabilities, np.float64) - 0.5
    return np.clip(0.5 + np.sign(distance) * np.abs(distance) ** settings.exponent, *settings.clip)


def combine(probabilities: np.ndarray, settings: EnsembleSettings) -> float:
    """The score of a video: the mean of the moved probabilities of its faces, weighted by |p - 0.5|.

    A face of which the network is unsure (in profile, blurred) so counts little. Without faces: ``unknown``.
    """
    if len(probabilities) == 0:
        return settings.unknown
    weights = np.abs(np.asarray(probabilities, np.float64) - 0.5) + settings.weight_offset
    mean = np.average(confident(probabilities, settings), weights=weights)
    return float(np.clip(mean, *settings.clip))  # the mean of equal numbers can be a last digit beside them


def video_scores(videos: Iterable[str], scores: Sequence[pa.Table], settings: EnsembleSettings) -> dict[str, float]:
    """The score of each video from tables of scores of any number of models; every face counts once."""
    names = sorted(videos)
    faces = pa.concat_tables(scores).to_pandas() if scores else pd.DataFrame({"video": [], "probability": []})
    of_video = faces.groupby("video", sort=False)["probability"].apply(
        lambda group: combine(group.to_numpy(), settings)
    )
    return {video: of_video.get(video, settings.unknown) for video in names}


def submission_csv(scores: Mapping[str, float]) -> str:
    """The submission as Kaggle takes it: a header, then a row per video, sorted by file name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("filename", "label"))
    writer.writerows((video, f"{score:.8f}") for video, score in sorted(scores.items()))
    return text.getvalue()
