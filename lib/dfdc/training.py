"""Training one model on mixtures of aligned real and fake faces (mixup: Zhang et al., ICLR 2018)."""

import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from dfdc.augment import erase_, mix, normalise
from dfdc.checkpoint import exclusive, load_checkpoint, save_checkpoint
from dfdc.dataset import Batch, PairDataset, SampleSettings, Schedule, batches
from dfdc.draws import generator
from dfdc.errors import UserError
from dfdc.log import duration
from dfdc.models import build_model, head_parameters, load_backbone

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainSettings:
    """What the result of a training depends on, besides its samples and its code."""

    architecture: str
    kind: str
    iterations: int
    batch_pairs: int
    warmup_iterations: int
    learning_rate: float
    momentum: float
    weight_decay: float


def learning_rate(settings: TrainSettings, iteration: int) -> float:
    """The learning rate of an iteration, from 1: constant in the warm-up, then falling linearly to nearly 0.

    At the k-th iteration after the warm-up it is (iterations - k) / iterations of the full rate.
    """
    since = max(iteration - settings.warmup_iterations, 0)
    return settings.learning_rate * (settings.iterations - since) / settings.iterations


def train(
    pairs: Sequence[Mapping[str, Any]],
    stores: Mapping[str, Path],
    pretrained: Mapping[str, torch.Tensor] | None,
    settings: TrainSettings,
    sample_settings: SampleSettings,
    folder: Path,
    device: torch.device,
    workers: int = 0,
    checkpoint_every: int = 1000,
) -> tuple[dict[str, torch.Tensor], dict[str, list[float]]]:
    """Train a model; give its state and the columns of the table of metrics.

    ``pairs`` are rows of the table of pairs, ``stores`` the store of each part, ``pretrained`` the backbone to
    start from (None: random weights). Checkpoints lie in ``folder``; a training that was stopped goes on from its
    last one and ends with the same weights, on a CPU to the bit. SIGTERM saves a checkpoint and ends the process.

    Raises UserError if there are fewer pairs than a batch needs, if another trainer is at work in the folder, or
    if the loss or its gradient is not finite.
    """
    if len(pairs) < settings.batch_pairs:
        raise UserError(
            f"There are {len(pairs)} pairs of clips, but a batch needs {settings.batch_pairs} "
            "(training.batch_pairs). results/aligned and results/clips say why fakes were left out."
        )
    crop = sample_settings.crop
    torch.manual_seed(_torch_seed(sample_settings.seed, 0))  # for the weights that are not pretrained
    model = build_model(settings.architecture, settings.kind, (crop.height, crop.width), len(sample_settings.frames))
    if pretrained is not None:
        load_backbone(model, pretrained)
    model = model.to(device)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=True,
    )
    with exclusive(folder), _termination() as stop:
        done, metrics = load_checkpoint(folder / "checkpoint.safetensors", model, optimizer)
        loss_of = metrics.get("loss", torch.zeros(settings.iterations))
        norm_of = metrics.get("gradient_norm", torch.zeros(settings.iterations))
        if done:
            logger.info(f"going on after iteration {done}")

        def save(iteration: int) -> None:
            metrics = {"loss": loss_of, "gradient_norm": norm_of}
            save_checkpoint(folder / "checkpoint.safetensors", iteration, model, optimizer, metrics)

        dataset = PairDataset(pairs, stores, sample_settings)
        schedule = Schedule(len(pairs), settings.batch_pairs, sample_settings.seed, done + 1, settings.iterations)
        report = _Report(settings.iterations, done)
        for batch in batches(dataset, schedule, workers, pin_memory=device.type == "cuda"):
            iteration = batch.iteration
            _enter_phase(model, warm_up=iteration <= settings.warmup_iterations)
            torch.manual_seed(_torch_seed(sample_settings.seed, iteration))  # for dropout
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(settings, iteration)
            loss = _loss(model, batch, device)
            if not torch.isfinite(loss):
                _refuse(batch, pairs, f"loss is {loss.item()}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
            norm = nn.utils.get_total_norm(gradients)
            if not torch.isfinite(norm):
                _refuse(batch, pairs, f"norm of the gradient is {norm.item()}")
            optimizer.step()
            loss_of[iteration - 1], norm_of[iteration - 1] = loss.detach(), norm
            report(iteration, loss_of, len(batch.targets))
            if stop.is_set():
                save(iteration)
                raise UserError(f"Stopped by a signal after iteration {iteration}; run again to go on from there.")
            if iteration % checkpoint_every == 0 or iteration == settings.iterations:
                save(iteration)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    steps = range(1, settings.iterations + 1)
    return state, {
        "iteration": list(steps),
        "loss": loss_of.tolist(),
        "learning_rate": [learning_rate(settings, step) for step in steps],
        "gradient_norm": norm_of.tolist(),
    }


def _loss(model: nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
    """Binary cross-entropy of the mixed pictures against the shares of the fakes in them."""
    targets = batch.targets.to(device, non_blocking=True)  # N
    real = batch.real.to(device, non_blocking=True)  # N, height, width, 3: bytes travel, floats are made there
    fake = batch.fake.to(device, non_blocking=True)
    # N, 3, height, width
    pictures = erase_(mix(normalise(real), normalise(fake), targets), batch.erasings)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits = model(pictures)  # N, 1
    return binary_cross_entropy_with_logits(logits.squeeze(1).float(), targets)


def _enter_phase(model: nn.Module, warm_up: bool) -> None:
    """In the warm-up only the last layer trains, and the network behaves as in use (no dropout, fixed norms)."""
    if model.training != warm_up:
        return  # it is in this phase already
    model.train(not warm_up)
    for parameter in model.parameters():
        parameter.requires_grad_(not warm_up)
    for parameter in head_parameters(model):
        parameter.requires_grad_(True)


def _torch_seed(seed: int, iteration: int) -> int:
    return int(generator(seed, "torch", iteration).integers(2**63))


def _refuse(batch: Batch, pairs: Sequence[Mapping[str, Any]], fault: str) -> None:
    names = ", ".join(f"{pairs[pair]['part']}/{pairs[pair]['fake']}" for pair in batch.pairs)
    raise UserError(
        f"The {fault} at iteration {batch.iteration}, so the weights would be lost. The fakes of this batch: "
        f"{names}. Look at their clips, or lower training.learning_rate; the last checkpoint is from before."
    )


@contextmanager
def _termination() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, instead of ending the process at once."""
    stop = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _Report:
    """A line every so often: iteration, mean loss since the last one, pictures a second, time left."""

    def __init__(self, iterations: int, done: int, interval: float = 10.0) -> None:
        self.iterations, self.interval = iterations, interval
        self.start = self.last = time.monotonic()
        self.first = self.shown = done
        self.pictures = 0

    def __call__(self, iteration: int, loss_of: torch.Tensor, pictures: int) -> None:
        self.pictures += pictures
        now = time.monotonic()
        if now - self.last < self.interval and iteration != self.iterations:
            return
        mean = float(loss_of[self.shown : iteration].mean())
        spent = now - self.start
        left = spent / (iteration - self.first) * (self.iterations - iteration)
        logger.info(
            f"iteration {iteration}/{self.iterations}, loss {mean:.4f}, "
            f"{self.pictures / spent:.1f} images/s, {duration(left)} left"
        )
        self.last, self.shown = now, iteration
