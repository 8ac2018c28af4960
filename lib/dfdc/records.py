"""What a training leaves behind besides weights: its course, its speed, and pictures of what it sees."""

import json
import logging
import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from dfdc.augment import denormalise
from dfdc.dataset import Batch
from dfdc.log import duration

logger = logging.getLogger(__name__)

# The rows of a measurement as numbers: iteration, place in this list, and the values.
CLIPS = ("plain", "recompressed")
POINTS = 1000  # at most so many points in the curves of TensorBoard
PICTURES = 8  # so many pairs in a picture of samples


class Records:
    """The course of a training: loss and gradient norm of each iteration, and every measurement.

    They depend on the iterations alone, are kept in checkpoints, and become tables in the end. With a folder, the rest
    is written there as it comes: ``tensorboard/``, ``speed.jsonl`` and ``samples/``; and a line is logged every ten
    seconds.
    """

    def __init__(
        self,
        iterations: int,
        batch: tuple[int, int],
        done: int,
        kept: Mapping[str, torch.Tensor],
        folder: Path | None,
        device: torch.device,
    ) -> None:
        """Go on after iteration ``done`` with what a checkpoint kept. ``batch``: its pairs, and frames of a pair."""
        self.iterations, self.batch, self.folder, self.device = iterations, batch, folder, device
        self.loss = kept.get("loss", torch.zeros(iterations))
        self.gradient_norm = kept.get("gradient_norm", torch.zeros(iterations))
        self.measurements = kept.get("measurements", torch.zeros(0, 5, dtype=torch.float64))
        self._writer = SummaryWriter(folder / "tensorboard", purge_step=done + 1) if folder else None
        self._window = max(1, iterations // POINTS)
        self._start = _Clock(done)
        self._line, self._point = _Clock(done), _Clock(done)

    def kept(self) -> dict[str, torch.Tensor]:
        """What belongs into a checkpoint."""
        return {"loss": self.loss, "gradient_norm": self.gradient_norm, "measurements": self.measurements}

    def waited_for(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Give the batches on, and count the time for which they are waited for."""
        loaded = iter(batches)
        while True:
            before = time.monotonic()
            batch = next(loaded, None)
            waited = time.monotonic() - before
            for clock in (self._start, self._line, self._point):
                clock.waited += waited
            if batch is None:
                return
            yield batch

    def iteration(self, iteration: int, loss: float, gradient_norm: float, learning_rate: float) -> None:
        """An iteration is over."""
        self.loss[iteration - 1], self.gradient_norm[iteration - 1] = loss, gradient_norm
        if self._writer is None:
            return
        last = iteration == self.iterations
        if iteration % self._window == 0 or last:
            self._write_point(iteration, learning_rate)
            self._point = _Clock(iteration)
        if self._line.seconds >= 10 or last:
            self._log_line(iteration)
            self._line = _Clock(iteration)

    def measured(self, iteration: int, rows: Iterable[Mapping[str, Any]]) -> bool:
        """The model was measured after an iteration. Gives whether it was never as good, see ``best_of``."""
        rows = list(rows)
        numbers = [[iteration, CLIPS.index(row["clips"]), row["count"], row["log_loss"], row["auc"]] for row in rows]
        self.measurements = torch.cat([self.measurements, torch.tensor(numbers, dtype=torch.float64)])
        if self._writer is not None:
            words = [f"{row['clips']} clips: log loss {row['log_loss']:.4f}, AUC {row['auc']:.4f}" for row in rows]
            logger.info(f"validation after iteration {iteration}: {'; '.join(words)}")
            for row in rows:
                for value in ("log_loss", "auc"):
                    self._writer.add_scalar(f"validation {value}/{row['clips']}", row[value], iteration)
        return best_of(self.measurements) == iteration

    def samples(self, iteration: int, batch: Batch, mixed: torch.Tensor) -> None:
        """Keep a picture of some pairs of a batch: real, fake, and what the network sees of them."""
        if self._writer is None:
            return
        sheet = contact_sheet(batch, mixed)
        self._writer.add_image("samples", sheet, iteration, dataformats="HWC")
        path = self.folder / "samples" / f"{iteration:08}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Write what is not written yet."""
        if self._writer is not None:
            self._writer.close()

    def _speed(self, since: "_Clock", iteration: int) -> dict[str, float]:
        """Pairs and images a second, and the share of the time that went by waiting for data."""
        pairs, frames = self.batch
        pairs_per_second = (iteration - since.iteration) * pairs / since.seconds
        return {
            "pairs_per_second": pairs_per_second,
            "images_per_second": pairs_per_second * frames,
            "data_wait": since.waited / since.seconds,
        }

    def _write_point(self, iteration: int, learning_rate: float) -> None:
        window = slice(self._point.iteration, iteration)
        course = {
            "loss": float(self.loss[window].mean()),
            "gradient_norm": float(self.gradient_norm[window].mean()),
            "learning_rate": learning_rate,
        }
        speed = self._speed(self._point, iteration) | {
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        }
        if self.device.type == "cuda":
            speed["gpu_memory_mb"] = torch.cuda.max_memory_allocated(self.device) / 2**20
        for group, values in (("course", course), ("speed", speed)):
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, iteration)
        rounded = {name: round(value, 4) for name, value in speed.items()}
        with (self.folder / "speed.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"iteration": iteration, **rounded}) + "\n")

    def _log_line(self, iteration: int) -> None:
        loss = float(self.loss[self._line.iteration : iteration].mean())
        speed, seconds = self._speed(self._line, iteration), self._start.seconds
        left = seconds / (iteration - self._start.iteration) * (self.iterations - iteration)
        logger.info(
            f"iteration {iteration}/{self.iterations}, loss {loss:.4f}, {speed['images_per_second']:.1f} images/s, "
            f"{speed['data_wait']:.0%} of the time waiting for data, {duration(left)} left"
        )


def best_of(measurements: torch.Tensor) -> int:
    """The iteration at which the mean log loss of plain and recompressed clips was least, the first of equals."""
    iterations = measurements[:, 0].unique()
    means = [measurements[measurements[:, 0] == iteration, 3].mean() for iteration in iterations]
    return int(iterations[int(torch.stack(means).argmin())])


def as_columns(measurements: torch.Tensor) -> dict[str, list[Any]]:
    """The measurements of a checkpoint as columns of the table of validation."""
    iterations, clips, counts, losses, aucs = measurements.T.tolist()
    return {
        "iteration": [int(iteration) for iteration in iterations],
        "clips": [CLIPS[int(number)] for number in clips],
        "count": [int(count) for count in counts],
        "log_loss": losses,
        "auc": aucs,
    }


def contact_sheet(batch: Batch, mixed: torch.Tensor) -> np.ndarray:
    """Some pairs of a batch as a picture: above the real face, below it the fake, then what the network sees.

    ``mixed`` is what goes into the network, N x 3 x height x width. Below it stands the target, the share of the fake.
    """
    frames = len(batch.targets) // len(batch.pairs)
    chosen = range(0, len(batch.targets), frames)[:PICTURES]
    columns = []
    for number in chosen:
        faces = [batch.real[number].numpy(), batch.fake[number].numpy(), denormalise(mixed[number : number + 1])[0]]
        words = np.full((20, faces[0].shape[1], 3), 255, np.uint8)
        target = f"{batch.targets[number]:.2f}"
        cv2.putText(words, target, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
        columns.append(np.vstack([*faces, words]))
    return np.hstack(columns)


class _Clock:
    """Counts what happens since it was made, after some iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration, self.begin = iteration, time.monotonic()
        self.waited = 0.0

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.begin, 1e-9)
