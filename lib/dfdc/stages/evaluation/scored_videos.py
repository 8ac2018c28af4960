"""Evaluation of labelled videos from the tables that the stages of prediction wrote about them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dfdc.data.labels import Label
from dfdc.data.schemas.evaluation import Evaluated
from dfdc.data.schemas.scores import SCORES
from dfdc.data.schemas.tracks import TRACKS
from dfdc.data.schemas.videos import TEST_VIDEOS, TestVideo
from dfdc.data.tables import read_rows, read_table
from dfdc.stages.evaluation.report import evaluate
from dfdc.stages.prediction.ensemble import ensemble_settings

# Where the tables of scores are, in a folder for each model.
SCORES_FOLDER = Path("results/test/scores")


def evaluate_tables(
    labels: Mapping[str, Label],
    videos: Sequence[str],
    tracks: Sequence[str],
    scores: Sequence[str],
    models: Sequence[str],
    ensemble: Mapping[str, Any],
    calibration: str | Path,
) -> tuple[dict[str, Any], list[Evaluated]]:
    """The report and the scores, see ``evaluate``, from the files of all shards of a set of videos.

    ``ensemble`` is the section of the config, ``calibration`` the file with a fitted one, see ``ensemble_settings``.
    """
    model_of = {path: Path(path).relative_to(SCORES_FOLDER).parts[0] for path in scores}
    return evaluate(
        labels,
        [video for path in videos for video in read_rows(path, TEST_VIDEOS, TestVideo)],
        [read_table(path, TRACKS) for path in tracks],
        {model: [read_table(path, SCORES) for path in scores if model_of[path] == model] for model in models},
        ensemble_settings(ensemble, calibration),
        ensemble["calibration"],
    )
