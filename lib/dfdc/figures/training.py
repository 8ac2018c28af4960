"""Training curves."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from dfdc.figures.style import drawing, say_nothing, series, thousands

POINTS, SMOOTH = 200, 25  # stretches of a training: of the pale curves, and of the smooth ones over them


def averaged(values: np.ndarray, points: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Average a series over up to ``points`` equal windows; returns the window centres, from 1, and the means."""
    windows = np.array_split(np.arange(1, len(values) + 1), min(points, len(values)))
    centres = np.array([window.mean() for window in windows])
    return centres, np.array([np.nanmean(values[window - 1]) for window in windows])


def least_loss(alpha: float) -> float:
    """The minimum of the expected cross-entropy against targets drawn from Beta(alpha, alpha): their mean entropy.

    In nats: E[H(t)] = ψ(2 alpha + 1) - ψ(alpha + 1). For alpha = 0.5 it is 2 ln 2 - 1 = 0.386.
    """
    import torch  # imported late because it takes seconds

    high, low = torch.special.digamma(torch.tensor([2 * alpha + 1, alpha + 1], dtype=torch.float64))
    return float(high - low)


def plot_training(path: str | Path, metrics: Mapping[str, pa.Table], alpha: float, warm_up: int) -> None:
    """Loss, gradient norm and learning rate of each model by iteration.

    ``alpha`` is the mixup parameter, ``warm_up`` the number of iterations that only train the last layer.
    """
    colours = series(list(metrics))
    with drawing(path, 8, 8.4, rows=3) as (loss, norm, rate):
        for name, table in metrics.items():
            for axes, column in ((loss, "loss"), (norm, "gradient_norm")):
                values = table[column].to_numpy()
                axes.plot(*averaged(values), color=colours[name], linewidth=0.8, alpha=0.35)
                axes.plot(*averaged(values, SMOOTH), color=colours[name], linewidth=2.2, label=name)
        rates = {tuple(table["learning_rate"].to_pylist()): name for name, table in metrics.items()}
        for values, name in rates.items():
            colour, label = ("black", "all models") if len(rates) == 1 else (colours[name], name)
            rate.plot(*averaged(np.array(values)), color=colour, label=label)
        for axes in (loss, norm, rate):
            axes.axvspan(0, warm_up, color="#EEEEEE", zorder=0, label=f"warm-up, until iteration {thousands(warm_up)}")
            axes.set_xlim(left=0)
        least = least_loss(alpha)
        loss.axhline(least, color="black", linestyle=":", label=f"minimum expected loss ({least:.3f})")
        later = [table["loss"].to_numpy()[warm_up:] for table in metrics.values()]
        loss.set_ylim(0, 1.1 * max((averaged(values)[1].max() for values in later if len(values)), default=1))
        loss.set_ylabel("cross-entropy (nats)")
        loss.set_title("Training loss (mixup targets)")
        loss.figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        norm.set_yscale("log")
        norm.set_ylabel("L2 norm (log scale)")
        norm.set_title("Gradient norm")
        rate.set_ylim(bottom=0)
        rate.set_ylabel("learning rate")
        rate.set_title("Learning rate" + (" of all models" if len(rates) == 1 else ""))
        rate.set_xlabel("iteration")


def plot_validation(path: str | Path, validation: Mapping[str, pa.Table]) -> None:
    """Log loss and AUC of each model on the validation clips, plain and recompressed."""
    with drawing(path, 8, 6.5, rows=2) as (loss, auc):
        if not any(len(table) for table in validation.values()):
            say_nothing(loss, "no validation clips, or validation during training was disabled")
            return say_nothing(auc, "")
        for name, colour in series(list(validation)).items():
            rows = validation[name].to_pandas(use_threads=False)
            for clips, line in (("plain", "-"), ("recompressed", "--")):
                chosen = rows[rows["clips"] == clips]
                for axes, column in ((loss, "log_loss"), (auc, "auc")):
                    look = {"color": colour, "linestyle": line, "marker": "o", "markersize": 3.5}
                    axes.plot(chosen["iteration"], chosen[column], label=f"{name}, {clips}", **look)
        loss.axhline(np.log(2), color="black", linestyle=":", label="constant score of 0.5")
        loss.set_ylabel("log loss (nats)")
        counts = {int(count) for table in validation.values() for count in table["count"].unique().to_pylist()}
        loss.set_title(f"Validation on {' or '.join(map(str, sorted(counts)))} clips, half of them real")
        loss.set_ylim(bottom=0)
        loss.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        auc.set_ylabel("area under the ROC curve")
        auc.set_xlabel("iteration")
