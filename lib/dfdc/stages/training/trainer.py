"""Training one model on mixtures of aligned real and fake faces (mixup: Zhang et al., ICLR 2018)."""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.parallel import DistributedDataParallel

from dfdc.data.schemas.pairs import Pair
from dfdc.data.schemas.training import Measurement
from dfdc.data.seeding import generator
from dfdc.networks.families import build_model, head_parameters, load_backbone
from dfdc.networks.inputs import normalise
from dfdc.networks.precision import autocast, set_precision
from dfdc.networks.weights.files import save_weights
from dfdc.stages.clips.variants import VariantReader
from dfdc.stages.training.augment.erasing import erase_
from dfdc.stages.training.augment.mixup import mix
from dfdc.stages.training.averaging import MovingAverage
from dfdc.stages.training.checkpoint import (
    FolderLock,
    TrainingState,
    exclusive,
    load_checkpoint,
    read_result,
    save_checkpoint,
)
from dfdc.stages.training.curves import Curves, as_rows
from dfdc.stages.training.distributed import Group, run_on_all
from dfdc.stages.training.loading import batches
from dfdc.stages.training.samples import Batch, PairDataset, SampleSettings, Schedule
from dfdc.stages.training.settings import TrainSettings
from dfdc.stages.training.tensorboard import Records
from dfdc.stages.training.validation import load_validation, measure_model
from dfdc.system.errors import Interrupted, UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainData:
    """Training pairs, validation pairs, the store of each part, and the pretrained backbone (None: random weights).

    ``variants``: the table of recompressed variants of each part and their store; None to recompress on the fly.
    """

    pairs: Sequence[Pair]
    validation: Sequence[Pair]
    stores: Mapping[str, Path]
    pretrained: Mapping[str, torch.Tensor] | None
    variants: tuple[Mapping[str, Path], Mapping[str, Path]] | None = None


@dataclass(frozen=True)
class RunSettings:
    """How a training is run; none of this is a hyperparameter.

    ``folder``: of checkpoints and records; ``devices``: one for each process; ``workers``: loader processes in total
    (0: none); ``checkpoint_every``: iterations between checkpoints; ``checkpoints_kept``: how many to keep; ``board``:
    the folder that lists the TensorBoard records of all trainings.
    """

    folder: Path
    devices: Sequence[torch.device]
    workers: int = 0
    checkpoint_every: int = 1000
    checkpoints_kept: int = 2
    board: Path | None = None


@dataclass(frozen=True)
class Trained:
    """The trained weights, the columns of the metrics table, and all validation results."""

    state: dict[str, torch.Tensor]
    metrics: dict[str, list[Any]]
    validation: list[Measurement]


def learning_rate(settings: TrainSettings, iteration: int) -> float:
    """The learning rate at an iteration (from 1): constant during warm-up, then decaying linearly to nearly 0.

    At the k-th iteration after the warm-up it is (iterations - (k - 1)) / iterations of the full rate.
    """
    before = max(iteration - settings.warmup_iterations - 1, 0)
    return settings.learning_rate * (settings.iterations - before) / settings.iterations


def train(data: TrainData, settings: TrainSettings, samples: SampleSettings, run: RunSettings) -> Trained:
    """Train a model on one or more devices; the batches do not depend on the number of devices.

    An interrupted training resumes from its last checkpoint and ends with the same weights (bit for bit on a CPU).
    SIGTERM and SIGINT save a checkpoint and stop the training. The result is the final weights; the weights with the
    best validation loss are saved as ``best.safetensors`` in the folder.

    Raises UserError if there are fewer pairs than a batch needs, if a batch cannot be divided among devices and
    accumulation steps, if another process is training in the folder or has taken it over, if the loss or its gradient
    is not finite, or if the training was stopped by a signal.
    """
    _check(data, settings, run)
    with exclusive(run.folder) as lock:
        run_on_all(_train, (data, settings, samples, run, lock), run.devices)
        state, kept = read_result(run.folder)
    steps = range(1, settings.iterations + 1)
    metrics = {
        "iteration": list(steps),
        "loss": kept["loss"].tolist(),
        "learning_rate": [learning_rate(settings, step) for step in steps],
        "gradient_norm": kept["gradient_norm"].tolist(),
    }
    return Trained(state, metrics, as_rows(kept["measurements"]))


def _train(
    data: TrainData, settings: TrainSettings, samples: SampleSettings, run: RunSettings, lock: FolderLock, group: Group
) -> None:
    """Train in one process of the group."""
    set_precision(group.device, settings.precision)
    state = _initial_state(data, settings, samples, group)
    done, kept = load_checkpoint(run.folder, state)
    if done and group.first:
        logger.info(f"resuming after iteration {done}")
    size = (settings.batch_pairs, len(samples.frames))
    curves = Curves(settings.iterations, kept)
    about = {"training": settings, "samples": samples}
    records = Records(curves, size, done, run.folder if group.first else None, group.device, about, run.board)
    schedule = Schedule(
        len(data.pairs), settings.batch_pairs, samples.seed, done + 1, settings.iterations, group.rank, group.size
    )
    variants = VariantReader(data.pairs, *data.variants) if data.variants else None
    dataset = PairDataset(data.pairs, data.stores, samples, variants, settings.batch_pairs)
    loaded = batches(dataset, schedule, -(-run.workers // group.size), pin_memory=group.device.type == "cuda")
    trainer = Trainer(state, settings, samples.seed, group)
    validator = Validator(data, settings, samples, run, lock, group) if data.validation and group.first else None

    # The loss is read after the next step has been queued, so that the GPU always has work.
    pending: deque[tuple[int, _Reading]] = deque()
    lag = 1 if group.device.type == "cuda" else 0
    for batch in records.waited_for(loaded):
        iteration = batch.iteration
        pending.append((iteration, _Reading(trainer.step(batch))))
        last = iteration == settings.iterations
        save = last or iteration % run.checkpoint_every == 0
        validate = settings.validate_every and (last or iteration % settings.validate_every == 0)
        stopped = False
        while len(pending) > (0 if save or validate or stopped else lag):
            number, values = pending.popleft()
            loss, norm, stop_signals = values.read()
            _check_finite(number, loss, norm, data.pairs, schedule)
            curves.iteration(number, loss, norm)
            records.iteration(number, learning_rate(settings, number))
            stopped = stopped or stop_signals > 0
        if iteration == 1 or validate:
            records.samples(iteration, batch, trainer.pictures(batch))
        if validate and validator:
            records.measured(iteration, validator.measure(iteration, state, curves))
        if (save or stopped) and group.first:
            save_checkpoint(run.folder, iteration, state, curves.kept(), run.checkpoints_kept, lock)
        if stopped and not last:
            group.wait()  # until the checkpoint is written
            raise Interrupted(f"Stopped by a signal after iteration {iteration}; run again to go on from there.")
    group.wait()
    records.close()


class _Reading:
    """Values on their way from the device: reading them waits for nothing that is queued after them."""

    def __init__(self, values: torch.Tensor) -> None:
        self._values, self._copied = values.to("cpu", non_blocking=True), None
        if values.is_cuda:
            # A waiting process leaves its core to the loader.
            self._copied = torch.cuda.current_stream(values.device).record_event(torch.cuda.Event(blocking=True))

    def read(self) -> list[float]:
        if self._copied is not None:
            self._copied.synchronize()
        return self._values.tolist()


class Trainer:
    """The steps of a training."""

    def __init__(self, state: TrainingState, settings: TrainSettings, seed: int, group: Group) -> None:
        """Train the model of a state, with its optimizer."""
        self.state, self.settings, self.seed, self.group = state, settings, seed, group
        self._warm_up: bool | None = None

    def step(self, batch: Batch) -> torch.Tensor:
        """Take one optimizer step on this process's share of a batch.

        Returns three values on the device: the loss of the whole batch, its gradient norm, and the number of processes
        that were told to stop.
        """
        settings, group, iteration = self.settings, self.group, batch.iteration
        self._enter_phase(warm_up=iteration <= settings.warmup_iterations)
        topic = ("torch", iteration, group.rank) if group.rank else ("torch", iteration)
        torch.manual_seed(_torch_seed(self.seed, *topic))  # for dropout
        optimizer = self.state.optimizer
        if iteration == settings.warmup_iterations + 1:
            optimizer.state.clear()  # a fresh start: the last layer loses its momentum
        for parameters in optimizer.param_groups:
            parameters["lr"] = learning_rate(settings, iteration)
        optimizer.zero_grad(set_to_none=True)
        loss = self._backward(batch)
        norm = nn.utils.get_total_norm([parameter.grad for parameter in self._trained])
        if settings.clip_gradient is not None:
            nn.utils.clip_grads_with_norm_(self._trained, settings.clip_gradient, norm)
        optimizer.step()
        if self.state.average is not None:
            self.state.average.update_parameters(self.state.model)
        stop = torch.full_like(loss, float(group.stop.is_set()))
        return group.total(torch.stack([loss, norm.detach() / group.size, stop]))

    def pictures(self, batch: Batch) -> torch.Tensor:
        """The network's input: normalised, mixed and erased images, N x 3 x height x width."""
        batch = batch.to(self.group.device)  # as uint8; converted to float there
        by = self.state.model.normalisation
        mixed = mix(normalise(batch.real, by), normalise(batch.fake, by), batch.targets)
        return erase_(mixed, batch.erasings, batch.noise)

    def _backward(self, batch: Batch) -> torch.Tensor:
        """Accumulate the gradients over the pieces of a batch; returns this process's share of the loss."""
        settings, group = self.settings, self.group
        batch_images = settings.batch_pairs * len(batch.targets) // len(batch.pairs)
        total = torch.zeros((), device=group.device)
        for number, piece in enumerate(batch.to(group.device).split(settings.accumulate), 1):
            complete = number == settings.accumulate or group.size == 1
            with nullcontext() if complete else self.network.no_sync():
                loss = self._loss(piece) * (len(piece.targets) / batch_images)
                # DistributedDataParallel averages gradients over processes, but the shares of the loss add up.
                (loss * group.size).backward()
            total += loss.detach()
        return total

    def _loss(self, batch: Batch) -> torch.Tensor:
        """Binary cross-entropy of the mixed images of a batch on the device against their mixup targets."""
        with autocast(self.group.device, self.settings.precision):
            logits = self.network(self.pictures(batch))  # N, 1
        return binary_cross_entropy_with_logits(logits.squeeze(1).float(), batch.targets)

    def _enter_phase(self, warm_up: bool) -> None:
        """In the warm-up train only the last layer, with the network in evaluation mode (no dropout, fixed norms)."""
        if self._warm_up is warm_up:
            return
        self._warm_up, model, device = warm_up, self.state.model, self.group.device
        model.train(not warm_up)
        for parameter in model.parameters():
            parameter.requires_grad_(not warm_up)
        for parameter in head_parameters(model):
            parameter.requires_grad_(True)
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.network = model
        if self.group.size > 1:
            # It must be created after requires_grad has been set.
            self.network = DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)
        # The warm-up is over before a second graph for it would have been worth compiling.
        if self.settings.compile and device.type == "cuda" and not warm_up:
            self.network = torch.compile(self.network)


class Validator:
    """Validates the model during training, and saves the best weights."""

    def __init__(
        self,
        data: TrainData,
        settings: TrainSettings,
        samples: SampleSettings,
        run: RunSettings,
        lock: FolderLock,
        group: Group,
    ) -> None:
        """The validation clips are loaded on first use."""
        self.data, self.settings, self.samples, self.run, self.lock = data, settings, samples, run, lock
        self.device = group.device
        self._clips = None

    def measure(self, iteration: int, state: TrainingState, curves: Curves) -> list[Measurement]:
        """Validate the model after an iteration; if it is the best so far, write its weights to the folder."""
        if self._clips is None:
            self._clips = load_validation(self.data.validation, self.data.stores, self.samples, self.run.workers)
        model = state.model if state.average is None else state.average.module
        rows = measure_model(model, self._clips, iteration, self.device, self.settings.precision)
        if curves.measured(iteration, rows):
            self.lock.check()
            metadata = {"architecture": self.settings.architecture, "kind": self.settings.kind, "iteration": iteration}
            save_weights(self.run.folder / "best.safetensors", state.result(), metadata, torch.float32)
        return rows


def _initial_state(data: TrainData, settings: TrainSettings, samples: SampleSettings, group: Group) -> TrainingState:
    crop, device = samples.crop, group.device
    torch.manual_seed(_torch_seed(samples.seed, "torch", 0))  # for the weights that are not pretrained
    model = build_model(settings.architecture, settings.kind, (crop.height, crop.width), len(samples.frames))
    if data.pretrained is not None:
        load_backbone(model, data.pretrained)
    if group.size > 1 and device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model = model.to(device)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=True,
    )
    average = None if settings.ema is None else MovingAverage(model, settings.ema)
    return TrainingState(model, optimizer, average)


def _check(data: TrainData, settings: TrainSettings, run: RunSettings) -> None:
    if len(data.pairs) < settings.batch_pairs:
        raise UserError(
            f"There are {len(data.pairs)} pairs of clips, but a batch needs {settings.batch_pairs} "
            "(training.batch_pairs). results/aligned and results/clips give the reasons for missing pairs."
        )
    if len(run.devices) * settings.accumulate > settings.batch_pairs:
        raise UserError(
            f"A batch of {settings.batch_pairs} pairs (training.batch_pairs) cannot be divided among "
            f"{len(run.devices)} GPUs in {settings.accumulate} pieces each (training.accumulate). Use fewer."
        )

    if settings.compile and len([device for device in run.devices if device.type == "cuda"]) > 1:
        raise UserError(
            "training.compile does not work with training on several GPUs: batch norm over all of them breaks the "
            "compiled graph. Set training.compile to false, or give each training one GPU."
        )


def _check_finite(iteration: int, loss: float, norm: float, pairs: Sequence[Pair], schedule: Schedule) -> None:
    """Raise UserError if loss or gradient norm is not finite, before a checkpoint is written."""
    if torch.isfinite(torch.tensor([loss, norm])).all():
        return
    fault = f"gradient norm is {norm}" if torch.isfinite(torch.tensor(loss)) else f"loss is {loss}"
    fakes = ", ".join(f"{pairs[pair].part}/{pairs[pair].fake}" for pair in schedule.pairs_of(iteration))
    raise UserError(
        f"The {fault} at iteration {iteration}; the training was stopped. The fakes of this batch: {fakes}. "
        "Check their clips, or lower training.learning_rate; the last checkpoint is from before this iteration."
    )


def _torch_seed(seed: int, *topic: str | int) -> int:
    return int(generator(seed, *topic).integers(2**63))
