"""Two systems compared on the items that both have scored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from dfdc.stages.evaluation.intervals import MEASURES, intervals_of_differences, measure

# What identifies an item: a test video, or a clip of a training video.
ITEM = ["part", "video", "clip"]


@dataclass(frozen=True)
class Difference:
    """A metric of two systems, None where undefined, and the 95 % confidence interval of second minus first."""

    models: str
    metric: str
    first: float | None
    second: float | None
    interval: Sequence[float] | None


@dataclass(frozen=True)
class Comparison:
    """The differences of two systems on their common items, with the numbers of items and of their sources."""

    items: int
    sources: int
    only_first: int
    only_second: int
    differences: Sequence[Difference]


def compare_scores(first: pd.DataFrame, second: pd.DataFrame) -> Comparison | None:
    """Compare the scores of two systems, rows of the table ``evaluated`` with one condition and one calibration each.

    The ensembles are compared, and models of the same name. Items are the same if part, video, clip number and label
    are. None without common items.
    """
    names = [name for name in first["models"].unique() if name in set(second["models"])]
    if not names:
        return None
    differences: list[Difference] = []
    both = first.iloc[:0]
    for name in sorted(names, key=lambda name: (name != "ensemble", " + " in name, name)):
        rows = [of_run[of_run["models"] == name].fillna({"clip": -1}) for of_run in (first, second)]
        both = rows[0].merge(rows[1], on=[*ITEM, "label"], suffixes=("", "_second"))
        if not len(both):
            return None
        differences += _differences(name, both)
    counts = [len(of_run[of_run["models"] == names[0]]) for of_run in (first, second)]
    return Comparison(len(both), both["source"].nunique(), counts[0] - len(both), counts[1] - len(both), differences)


def _differences(name: str, both: pd.DataFrame) -> Iterator[Difference]:
    labels, before, after = (both[column].to_numpy() for column in ("label", "score", "score_second"))
    values = measure(labels, before), measure(labels, after)
    limits = intervals_of_differences(labels, before, after, both["source"].tolist())
    for metric in MEASURES:
        yield Difference(name, metric, values[0][metric], values[1][metric], limits[metric])
