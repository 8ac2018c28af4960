"""What is handed on with trained weights: where they come from, how well they do, and on what that was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.typing import SeriesGroupBy

from dfdc.data.schemas.pairs import Pair

# Names in the evaluation and the calibration, which are not imported: how these are made decides nothing here.
PLAIN, FITTED = "plain", ("exponent", "temperature")
# The share of validation clips beyond a limit, and how many clips there must be to say so.
TAIL, FEWEST = 0.05, 20


def provenance_of(
    name: str, data: str | None, purpose: str | None, pairs: Sequence[Pair], evaluation: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What a model was trained on, and its measures on validation clips, alone and in the ensemble.

    ``evaluation`` is the evaluation on validation clips, None if no pairs were set aside. How many people
    the videos show is not known.
    """
    trained_on = [pair for pair in pairs if pair.split == "train"]
    plain = evaluation["conditions"][PLAIN] if evaluation else None
    return {
        "data": data or "unnamed",
        "purpose": purpose,
        "pairs": len(trained_on),
        "sources": len({(pair.part, pair.real) for pair in trained_on}),
        "validation": _measures(plain["models"][name]) if plain else None,
        "ensemble": {"models": sorted(plain["models"]), **_measures(plain["ensemble"])} if plain else None,
    }


def _measures(report: Mapping[str, Any]) -> dict[str, Any]:
    """Log loss and AUC with their 95 % intervals, which are None with a single real video."""
    measures = {"clips": report["clips"], "sources": report["sources"]}
    for measure in ("log_loss", "auc"):
        measures |= {measure: report[measure], f"{measure}_interval": report["intervals"][measure]}
    return measures


def fitted_values(calibration: Mapping[str, Any]) -> dict[str, float | None]:
    """The fitted exponent and temperature of calibration.json."""
    return {kind: calibration[kind][kind] for kind in FITTED}


def ranges_of(scores_of: Mapping[str, pa.Table], enlarge: float) -> dict[str, Any] | None:
    """How small, how blurred and how far turned to the side the faces of validation clips are, and how far the models
    disagree about them: what the measures cover. None with fewer than ``FEWEST`` clips.

    ``face_height``, in pixels: 5 % of the plain clips have smaller faces than ``limit``. ``sharpness`` for each model,
    which sees faces at a size of its own: 5 % have a lower median. ``yaw`` for each model: 5 % of the clips in which it
    is known have a higher median; None if these are fewer than ``FEWEST``. ``disagreement`` of at least two models: the
    largest difference of their mean probabilities of a clip, and 5 % have more than ``limit``. For each also how many
    clips there are ``beyond`` and ``within`` the limit, and of how many the mean of all probabilities is on the wrong
    side of 0.5. ``enlarge`` is the factor by which the boxes of the clips were enlarged.
    """
    frames = pd.concat(
        [table.to_pandas(use_threads=False).assign(model=model) for model, table in sorted(scores_of.items())]
    )
    frames = frames[frames["condition"] == PLAIN]
    clips = frames.groupby(["part", "clip"])
    if len(clips) < FEWEST:
        return None
    of_models = frames.groupby(["part", "clip", "model"])
    means = of_models["probability"].mean().unstack()
    wrong = ((clips["probability"].mean() > 0.5) != (clips["label"].first() == "FAKE")).to_numpy()
    heights = (clips["height"].first() / enlarge).to_numpy()
    ranges = {
        "models": sorted(scores_of),
        "face_height": _range(heights, wrong, least=True),
        "sharpness": _range_of_each(of_models["sharpness"], wrong, least=True),
        "yaw": _range_of_each(of_models["yaw"], wrong, least=False),
        "disagreement": None,
    }
    if len(scores_of) > 1:
        spread = (means.max(axis=1) - means.min(axis=1)).to_numpy(np.float64)
        ranges["disagreement"] = _range(spread, wrong, least=False)
    return ranges


def _range_of_each(frames: SeriesGroupBy, wrong: np.ndarray, least: bool) -> dict[str, Any]:
    """The range of each model, of the medians of clips."""
    medians = frames.median().unstack()
    return {model: _range(medians[model].to_numpy(np.float64), wrong, least) for model in sorted(medians)}


def _range(values: np.ndarray, wrong: np.ndarray, least: bool) -> dict[str, Any] | None:
    known = np.isfinite(values)
    if known.sum() < FEWEST:
        return None
    values, wrong = values[known], wrong[known]
    limit = float(np.quantile(values, TAIL if least else 1 - TAIL))
    beyond = values < limit if least else values > limit
    counts = {
        name: {"clips": int(chosen.sum()), "wrong": int(wrong[chosen].sum())}
        for name, chosen in (("beyond", beyond), ("within", ~beyond))
    }
    return {"limit": limit, **counts}
