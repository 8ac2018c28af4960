"""Training curves of two runs in one figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from dfdc.figures.style import drawing, say_nothing, series
from dfdc.figures.training import averaged

LINES = ("-", "--")  # of the first run and of the second


@dataclass(frozen=True)
class Trainings:
    """The tables ``metrics`` and ``validation`` of a run's trainings, by model."""

    name: str
    metrics: Mapping[str, pa.Table]
    validation: Mapping[str, pa.Table]


def plot_comparison(path: str | Path, runs: Sequence[Trainings]) -> None:
    """Training loss, and log loss on plain validation clips, of each model in two runs, by iteration."""
    colours = series(sorted({model for run in runs for model in run.metrics}))
    with drawing(path, 8, 7, rows=2) as (loss, validation):
        measured = False
        for run, line in zip(runs, LINES, strict=True):
            for model, table in run.metrics.items():
                look = {"color": colours[model], "linestyle": line, "label": f"{model}, {run.name}"}
                loss.plot(*averaged(table["loss"].to_numpy(), 60), **look)
                rows = run.validation[model].to_pandas(use_threads=False)
                rows = rows[rows["clips"] == "plain"]
                validation.plot(rows["iteration"], rows["log_loss"], marker="o", markersize=3.5, **look)
                measured |= len(rows) > 0
        loss.set_title("Training loss (mixup targets)")
        loss.set_ylabel("cross-entropy (nats)")
        if colours:
            loss.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        if not measured:
            return say_nothing(validation, "no validation during training")
        validation.set_xlim(loss.get_xlim())
        validation.set_title("Validation on plain clips")
        validation.set_ylabel("log loss (nats)")
        validation.set_xlabel("iteration")
