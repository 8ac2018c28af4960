"""Training curves."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from dfdc.figures.style import drawing, say_nothing, series

POINTS = 200  # per curve


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


def plot_training(path: str | Path, metrics: Mapping[str, pa.Table], alpha: float) -> None:
    """Loss, gradient norm and learning rate of each model by iteration; ``alpha`` is the mixup parameter."""
    colours = series(list(metrics))
    with drawing(path, 8, 8, rows=3) as (loss, norm, rate):
        for name, table in metrics.items():
            for axes, column in ((loss, "loss"), (norm, "gradient_norm"), (rate, "learning_rate")):
                axes.plot(*averaged(table[column].to_numpy()), color=colours[name], label=name)
        least = least_loss(alpha)
        loss.axhline(least, color="black", linestyle=":", label=f"minimum expected loss ({least:.3f})")
        loss.set_ylabel("cross-entropy (nats)")
        loss.set_title("Training loss (mixup targets)")
        loss.legend()
        norm.set_yscale("log")
        norm.set_ylabel("L2 norm (log scale)")
        norm.set_title("Gradient norm")
        rate.set_ylim(bottom=0)
        rate.set_ylabel("learning rate")
        rate.set_title("Learning rate")
        rate.set_xlabel("iteration")


def plot_validation(path: str | Path, validation: Mapping[str, pa.Table]) -> None:
    """Log loss and AUC of each model on the validation clips, plain and recompressed."""
    with drawing(path, 8, 6.5, rows=2) as (loss, auc):
        if not any(len(table) for table in validation.values()):
            say_nothing(loss, "no validation clips, or validation during training was disabled")
            return say_nothing(auc, "")
        for name, colour in series(list(validation)).items():
            rows = validation[name].to_pandas()
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
