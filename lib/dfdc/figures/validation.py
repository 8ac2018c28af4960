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
# Bins of a reliability diagram: with so few clips or fewer in each, its points say nothing.
MOST_BINS, CLIPS_PER_BIN = 10, 12


def plot_calibration(path: str | Path, evaluated: pa.Table, calibration: Mapping[str, Any]) -> None:
    """Reliability diagram and score histogram, with the published exponent and with the fitted calibrations.

    ``evaluated`` has the scores of validation clips, ``calibration`` the fitted parameters and their log losses. The
    bins of the diagram have equally many clips, and each has the 95 % interval of its fraction of fakes.
    """
    rows = evaluated.to_pandas(use_threads=False)
    rows = rows[(rows["condition"] == PLAIN) & (rows["models"] == ENSEMBLE)]
    with drawing(path, 9, 4.6, columns=2) as (diagram, histogram):
        if not len(rows):
            say_nothing(histogram, "")
            return say_nothing(diagram, NOTHING)
        diagram.plot([0, 1], [0, 1], color=BLACK, linestyle=":", linewidth=1, label="perfect")
        for kind, colour in CALIBRATIONS.items():
            scores = rows[rows["calibration"] == kind]
            number = min(max(len(scores) // CLIPS_PER_BIN, 1), MOST_BINS)
            bins = reliability_bins(scores["label"].to_numpy(), scores["score"].to_numpy(), number)
            mean, fake = np.array([row["score"] for row in bins]), np.array([row["fake"] for row in bins])
            reach = np.abs(np.array([row["interval"] for row in bins]).T - fake)
            look = {"color": colour, "marker": "o", "markersize": 4, "elinewidth": 1, "capsize": 2, "linewidth": 1}
            diagram.errorbar(mean, fake, reach, label=words(kind, calibration), **look)
            counts, edges = np.histogram(scores["score"], np.linspace(0, 1, 11))
            histogram.stairs(counts, edges, color=colour, linewidth=1.6)
        diagram.set_aspect("equal")
        diagram.set_xlabel(f"mean score of about {thousands(len(scores) / len(bins))} clips")
        diagram.set_ylabel("fraction of fakes (95 % interval)")
        diagram.set_title(f"Calibration on {thousands(calibration['clips'])} clips of {calibration['sources']} sources")
        diagram.figure.legend(*diagram.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
        histogram.set_xlabel("score")
        histogram.set_ylabel("clips")
        histogram.set_title("Scores")


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
