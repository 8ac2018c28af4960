"""Training curves, as kept in checkpoints and written to tables."""

from collections.abc import Iterable, Mapping

import torch

from dfdc.data.schemas.training import Measurement

# The kinds of validation clips; checkpoints hold the index in this list.
CLIP_KINDS = ("plain", "recompressed")


class Curves:
    """Loss and gradient norm of each iteration, and all validation results."""

    def __init__(self, iterations: int, kept: Mapping[str, torch.Tensor]) -> None:
        """Continue the curves from a checkpoint."""
        self.iterations = iterations
        self.loss = kept.get("loss", torch.zeros(iterations))
        self.gradient_norm = kept.get("gradient_norm", torch.zeros(iterations))
        self.measurements = kept.get("measurements", torch.zeros(0, 5, dtype=torch.float64))

    def kept(self) -> dict[str, torch.Tensor]:
        """The tensors to save in a checkpoint."""
        return {"loss": self.loss, "gradient_norm": self.gradient_norm, "measurements": self.measurements}

    def iteration(self, iteration: int, loss: float, gradient_norm: float) -> None:
        """Add the loss and the gradient norm of an iteration."""
        self.loss[iteration - 1], self.gradient_norm[iteration - 1] = loss, gradient_norm

    def measured(self, iteration: int, rows: Iterable[Measurement]) -> bool:
        """Add the validation results after an iteration; returns whether they are the best so far (see ``best_of``)."""
        numbers = [[iteration, CLIP_KINDS.index(row.clips), row.count, row.log_loss, row.auc] for row in rows]
        self.measurements = torch.cat([self.measurements, torch.tensor(numbers, dtype=torch.float64)])
        return best_of(self.measurements) == iteration


def best_of(measurements: torch.Tensor) -> int:
    """The first iteration with the lowest mean log loss over plain and recompressed clips."""
    iterations = measurements[:, 0].unique()
    means = [measurements[measurements[:, 0] == iteration, 3].mean() for iteration in iterations]
    return int(iterations[int(torch.stack(means).argmin())])


def as_rows(measurements: torch.Tensor) -> list[Measurement]:
    """The validation results of a checkpoint as rows of the validation table."""
    return [
        Measurement(int(iteration), CLIP_KINDS[int(clips)], int(count), log_loss, auc)
        for iteration, clips, count, log_loss, auc in measurements.tolist()
    ]
