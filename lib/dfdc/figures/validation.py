"""Figures of the evaluation on validation clips."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dfdc.figures.style import BLACK, GREEN, ORANGE, PURPLE, drawing, say_nothing, series, thousands
from dfdc.stages.evaluation.intervals import reliability_bins

ENSEMBLE, PLAIN = "ensemble", "plain"
CALIBRATIONS = {"published": PURPLE, "exponent": GREEN, "temperature": ORANGE}
NOTHING = "no validation clips"


def plot_calibration(path: str | Path, evaluated: pa.Table, calibration: Mapping[str, Any]) -> None:
    """Reliability diagram and score histogram, with the published exponent and with the fitted calibrations.

    ``evaluated`` has the scores of validation clips, ``calibration`` the fitted parameters and their log losses.
    """
    rows = evaluated.to_pandas()
    rows = rows[(rows["condition"] == PLAIN) & (rows["models"] == ENSEMBLE)]
    with drawing(path, 9, 4.6, columns=2) as (diagram, histogram):
        if not len(rows):
            say_nothing(histogram, "")
            return say_nothing(diagram, NOTHING)
        diagram.plot([0, 1], [0, 1], color=BLACK, linestyle=":", linewidth=1, label="perfect")
        for kind, colour in CALIBRATIONS.items():
            scores = rows[rows["calibration"] == kind]
            bins = [row for row in reliability_bins(scores["label"], scores["score"]) if row["count"]]
            mean, fake = [row["score"] for row in bins], [row["fake"] for row in bins]
            diagram.plot(mean, fake, color=colour, marker="o", markersize=4, label=words(kind, calibration))
            counts, edges = np.histogram(scores["score"], np.linspace(0, 1, 11))
            histogram.stairs(counts, edges, color=colour, linewidth=1.6, label=kind)
        diagram.set_aspect("equal")
        diagram.set_xlabel("mean score in the bin")
        diagram.set_ylabel("fraction of fakes")
        diagram.set_title(f"Calibration on {thousands(calibration['clips'])} clips of {calibration['sources']} sources")
        diagram.figure.legend(*diagram.get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=9)
        histogram.set_xlabel("score")
        histogram.set_ylabel("clips")
        histogram.set_title("Scores")
        histogram.legend()


def words(kind: str, calibration: Mapping[str, Any]) -> str:
    """Legend text of a calibration: its parameter, its log loss and, if fitted, the log loss on left-out sources."""
    fit = calibration[kind]
    number = fit["temperature" if kind == "temperature" else "exponent"]
    name = f"{kind} {number:.2f}" if kind != "published" else f"published exponent {number:g}"
    if kind == "published":
        return f"{name}: log loss {fit['log_loss']:.3f}"
    left_out = fit["log_loss_left_out"]
    return f"{name}: log loss {fit['log_loss']:.3f}" + (f", left out {left_out:.3f}" if left_out is not None else "")


def plot_conditions(path: str | Path, evaluation: Mapping[str, Any]) -> None:
    """Log loss and AUC of the ensemble and of each model, on plain and on recompressed clips."""
    conditions = evaluation["conditions"]
    models = list(conditions[PLAIN]["models"])
    colours = {ENSEMBLE: BLACK, **series(models)}
    with drawing(path, 9, 1.8 + 0.62 * len(conditions), columns=2) as (loss, auc):
        if not conditions[PLAIN][ENSEMBLE]["clips"]:
            say_nothing(auc, "")
            return say_nothing(loss, NOTHING)
        for axes, measure in ((loss, "log_loss"), (auc, "auc")):
            for number, (name, colour) in enumerate(colours.items()):
                places = np.arange(len(conditions)) + (number - (len(colours) - 1) / 2) * 0.8 / len(colours)
                reports = [row[ENSEMBLE] if name == ENSEMBLE else row["models"][name] for row in conditions.values()]
                for place, report in zip(places, reports, strict=True):
                    if interval := report["intervals"][measure]:
                        axes.plot(interval, [place, place], color=colour, linewidth=1.4, alpha=0.6)
                values = [np.nan if report[measure] is None else report[measure] for report in reports]
                axes.plot(values, places, color=colour, linestyle="", marker="o", markersize=5, label=name)
            axes.set_yticks(range(len(conditions)), list(conditions) if axes is loss else [""] * len(conditions))
            axes.invert_yaxis()
            axes.grid(axis="y", visible=False)
            for line in np.arange(len(conditions) - 1) + 0.5:
                axes.axhline(line, color="#DDDDDD", linewidth=0.8)
        loss.axvline(np.log(2), color=BLACK, linestyle=":", linewidth=1, label="constant score of 0.5")
        loss.set_xlim(left=0)
        loss.set_xlabel("log loss (nats)")
        clips = thousands(conditions[PLAIN][ENSEMBLE]["clips"])
        loss.set_title(f"{clips} validation clips, plain and recompressed", loc="left")
        auc.set_xlabel("area under the ROC curve")
        loss.figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
