"""The course of a training: what becomes its tables, and goes into its checkpoints."""

from collections.abc import Iterable, Mapping

import torch

from dfdc.data.schemas.training import Measurement

# What kinds of clips are measured; among the numbers of a checkpoint stands the place in this list.
CLIP_KINDS = ("plain", "recompressed")


class Curves:
    """Loss and gradient norm of each iteration, and every measurement on the validation clips.

    They depend on the iterations alone, are kept in checkpoints, and become tables in the end.
    """

    def __init__(self, iterations: int, kept: Mapping[str, torch.Tensor]) -> None:
        """Go on with what a checkpoint kept."""
        self.iterations = iterations
        self.loss = kept.get("loss", torch.zeros(iterations))
        self.gradient_norm = kept.get("gradient_norm", torch.zeros(iterations))
        self.measurements = kept.get("measurements", torch.zeros(0, 5, dtype=torch.float64))

    def kept(self) -> dict[str, torch.Tensor]:
        """What belongs into a checkpoint."""
        return {"loss": self.loss, "gradient_norm": self.gradient_norm, "measurements": self.measurements}

    def iteration(self, iteration: int, loss: float, gradient_norm: float) -> None:
        """An iteration is over."""
        self.loss[iteration - 1], self.gradient_norm[iteration - 1] = loss, gradient_norm

    def measured(self, iteration: int, rows: Iterable[Measurement]) -> bool:
        """The model was measured after an iteration. Gives whether it was never as good, see ``best_of``."""
        numbers = [[iteration, CLIP_KINDS.index(row.clips), row.count, row.log_loss, row.auc] for row in rows]
        self.measurements = torch.cat([self.measurements, torch.tensor(numbers, dtype=torch.float64)])
        return best_of(self.measurements) == iteration


def best_of(measurements: torch.Tensor) -> int:
    """The iteration at which the mean log loss of plain and recompressed clips was least, the first of equals."""
    iterations = measurements[:, 0].unique()
    means = [measurements[measurements[:, 0] == iteration, 3].mean() for iteration in iterations]
    return int(iterations[int(torch.stack(means).argmin())])


def as_rows(measurements: torch.Tensor) -> list[Measurement]:
    """The measurements of a checkpoint as rows of the table of validation."""
    return [
        Measurement(int(iteration), CLIP_KINDS[int(clips)], int(count), log_loss, auc)
        for iteration, clips, count, log_loss, auc in measurements.tolist()
    ]
