"""Metrics recorded during training."""

from dataclasses import dataclass

import pyarrow as pa

from dfdc.data.columns import column, table

METRICS = table(
    "metrics",
    [
        column("iteration", pa.int32(), "from 1"),
        column("loss", pa.float32(), "binary cross-entropy of the mixed batch"),
        column("learning_rate", pa.float64(), "learning rate of this iteration"),
        column("gradient_norm", pa.float32(), "L2 norm over all trained parameters"),
    ],
)

VALIDATION = table(
    "validation",
    [
        column("iteration", pa.int32(), "iteration after which the model was validated"),
        column("clips", pa.string(), "plain (as they were cut) or recompressed"),
        column("count", pa.int32(), "number of clips, half of them real"),
        column("log_loss", pa.float64(), "mean over the clips; a clip's probability is the mean over its frames"),
        column("auc", pa.float64(), "area under the ROC curve"),
    ],
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A row of ``VALIDATION``: the metrics of a model after an iteration, on plain or recompressed clips."""

    iteration: int
    clips: str
    count: int
    log_loss: float
    auc: float
