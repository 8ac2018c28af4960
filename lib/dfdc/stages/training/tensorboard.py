"""Records of training: TensorBoard events, speed, and sample images.

Nothing here affects results, so it is not part of the code hash that makes trainings run again.
"""

import contextlib
import dataclasses
import json
import logging
import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from dfdc.data.schemas.training import Measurement
from dfdc.networks.inputs import denormalise
from dfdc.stages.training.curves import Curves
from dfdc.stages.training.samples import Batch
from dfdc.system.words import duration

logger = logging.getLogger(__name__)
POINTS = 1000  # maximum number of points in TensorBoard curves
PICTURES = 8  # maximum number of pairs on a contact sheet


class Records:
    """Logs curves, speed, settings and pictures of samples.

    If there is a folder, they are written to ``tensorboard/``, ``speed.jsonl`` and ``samples/`` in it, and a progress
    line is logged every ten seconds.
    """

    def __init__(
        self,
        curves: Curves,
        batch: tuple[int, int],
        done: int,
        folder: Path | None,
        device: torch.device,
        settings: Mapping[str, Any],
        board: Path | None = None,
    ) -> None:
        """Resume after iteration ``done``.

        ``batch``: pairs per batch, and frames per pair; ``settings``: dataclasses of settings, by name; ``board``: a
        folder in which TensorBoard shows the trainings of all models, see ``list_run``.
        """
        self.curves, self.batch, self.folder, self.device = curves, batch, folder, device
        self.iterations = curves.iterations
        self._writer = SummaryWriter(folder / "tensorboard", purge_step=done + 1) if folder else None
        if self._writer is not None:
            self._writer.add_text("settings", _as_markdown(settings), done)
            if board is not None:
                list_run(folder / "tensorboard", board, folder.parent.name)
        self._window = max(1, self.iterations // POINTS)
        self._start = _Clock(done)
        self._line, self._point = _Clock(done), _Clock(done)

    def waited_for(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass the batches on, and measure the time spent waiting for them."""
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

    def iteration(self, iteration: int, learning_rate: float) -> None:
        """Log an iteration that has been added to the curves."""
        if self._writer is None:
            return
        last = iteration == self.iterations
        if iteration % self._window == 0 or last:
            self._write_point(iteration, learning_rate)
            self._point = _Clock(iteration)
        if self._line.seconds >= 10 or last:
            self._log_line(iteration)
            self._line = _Clock(iteration)

    def measured(self, iteration: int, rows: Iterable[Measurement]) -> None:
        """Log the validation results after an iteration."""
        rows = list(rows)
        if self._writer is None:
            return
        results = [f"{row.clips} clips: log loss {row.log_loss:.4f}, AUC {row.auc:.4f}" for row in rows]
        logger.info(f"validation after iteration {iteration}: {'; '.join(results)}")
        for row in rows:
            self._writer.add_scalar(f"validation/log_loss_{row.clips}", row.log_loss, iteration)
            self._writer.add_scalar(f"validation/auc_{row.clips}", row.auc, iteration)

    def samples(self, iteration: int, batch: Batch, mixed: torch.Tensor) -> None:
        """Save a contact sheet of some pairs of a batch: real, fake, and network input."""
        if self._writer is None:
            return
        sheet = contact_sheet(batch, mixed)
        self._writer.add_image("samples", sheet, iteration, dataformats="HWC")
        path = self.folder / "samples" / f"{iteration:08}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Flush and close the TensorBoard writer."""
        if self._writer is not None:
            self._writer.close()

    def _speed(self, since: "_Clock", iteration: int) -> dict[str, float]:
        """Pairs and images per second, and the fraction of time spent waiting for data."""
        pairs, frames = self.batch
        pairs_per_second = (iteration - since.iteration) * pairs / since.seconds
        return {
            "pairs_per_second": pairs_per_second,
            "images_per_second": pairs_per_second * frames,
            "data_wait": since.waited / since.seconds,
        }

    def _write_point(self, iteration: int, learning_rate: float) -> None:
        window = slice(self._point.iteration, iteration)
        train = {
            "loss": float(self.curves.loss[window].mean()),
            "gradient_norm": float(self.curves.gradient_norm[window].mean()),
            "learning_rate": learning_rate,
        }
        speed = self._speed(self._point, iteration) | {
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        }
        if self.device.type == "cuda":
            speed["gpu_memory_mb"] = torch.cuda.max_memory_allocated(self.device) / 2**20
        for group, values in (("train", train), ("speed", speed)):
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, iteration)
        rounded = {name: round(value, 4) for name, value in speed.items()}
        with (self.folder / "speed.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"iteration": iteration, **rounded}) + "\n")

    def _log_line(self, iteration: int) -> None:
        loss = float(self.curves.loss[self._line.iteration : iteration].mean())
        speed, seconds = self._speed(self._line, iteration), self._start.seconds
        left = seconds / (iteration - self._start.iteration) * (self.iterations - iteration)
        logger.info(
            f"iteration {iteration}/{self.iterations}, loss {loss:.4f}, {speed['images_per_second']:.1f} images/s, "
            f"{speed['data_wait']:.0%} of the time waiting for data, {duration(left)} left"
        )


def list_run(records: Path, board: Path, model: str) -> None:
    """List a training's records in the folder ``board``: a link whose name, which TensorBoard shows, a person can read.

    It says the model and when the training first began. A training that goes on keeps its name, and links to records
    that have been deleted are removed. Where links cannot be made the records can only be found by their own path.
    """
    with contextlib.suppress(OSError):
        board.mkdir(parents=True, exist_ok=True)
        links = [link for link in board.iterdir() if link.is_symlink()]
        for link in links:
            if not link.exists():
                link.unlink(missing_ok=True)
        if not any(link.resolve() == records.resolve() for link in links):
            name = f"{model} {datetime.now():%Y-%m-%d %H.%M.%S}"
            (board / name).symlink_to(os.path.relpath(records, board))


def _as_markdown(settings: Mapping[str, Any]) -> str:
    """Dataclasses of settings as a table."""
    rows = [
        f"| {section}.{name} | {value} |"
        for section, values in settings.items()
        for name, value in dataclasses.asdict(values).items()
    ]
    return "\n".join(["| setting | value |", "|---|---|", *rows])


def contact_sheet(batch: Batch, mixed: torch.Tensor) -> np.ndarray:
    """A contact sheet of some pairs of a batch; from top to bottom: real face, fake, network input, mixup target.

    ``mixed`` is the network's input, N x 3 x height x width.
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
    """Elapsed time, and time spent waiting for data, since an iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration, self.begin = iteration, time.monotonic()
        self.waited = 0.0

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.begin, 1e-9)
