"""Checkpoints of a model in training, and a lock that keeps other processes out of their folder.

A checkpoint is a safetensors file: the model under ``model.``, SGD's momentum under ``momentum.``, the averaged weights
(if any) under ``average.``, the training curves under ``records.``, and the iteration and a checksum in the metadata.
There is no RNG state, because all random draws depend only on seed and iteration.
"""

import contextlib
import json
import logging
import os
import shlex
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel

from dfdc.networks.weights.tensors import read_safetensors, write_tensors
from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path, write_text
from dfdc.system.locks.exclusive import Lock, LockLost, LockTaken, locked
from dfdc.system.locks.heartbeats import RHYTHM, Rhythm
from dfdc.system.words import some

logger = logging.getLogger(__name__)

# To be increased when a change of code changes the numbers of a training: then checkpoints that were written before are
# not offered to go on from, see ``prepare_folder``.
TRAINING_VERSION = 3


@dataclass(frozen=True)
class TrainingState:
    """The mutable state of a training: the model, its optimizer, and the moving average of its weights, if any."""

    model: torch.nn.Module
    optimizer: torch.optim.SGD
    average: AveragedModel | None = None

    def result(self) -> dict[str, torch.Tensor]:
        """The resulting weights (the averaged ones, if any), on the CPU."""
        chosen = self.model if self.average is None else self.average.module
        return {name: tensor.detach().cpu().contiguous() for name, tensor in chosen.state_dict().items()}


def prepare_folder(folder: Path, code: Mapping[str, str]) -> None:
    """Create the folder of a training's checkpoints, if needed, and note the ``code`` ({file: hash}) in it.

    Its name has two parts, separated by a hyphen: a fingerprint of all that determines the training's numbers
    (settings, data, ``TRAINING_VERSION``), and a hash of the code. If only other code has written checkpoints of this
    training, a warning says where they are and how to go on from them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "code.json", json.dumps(dict(code)))
    fingerprint = folder.name.rpartition("-")[0]
    others = [other for other in folder.parent.glob(f"{fingerprint}-*") if other != folder and checkpoints(other)]
    if others and not checkpoints(folder):
        newest = max(others, key=lambda other: checkpoints(other)[0].name)
        reached = int(checkpoints(newest)[0].stem.removeprefix("checkpoint_"))
        logger.warning(
            f"Training starts at iteration 0. Other code has reached iteration {reached}, in {newest}"
            f"{_differences(newest, code)}. If the change does not affect training, stop the run and continue from "
            f"there:\n  rm -r {shlex.quote(str(folder))} && mv {shlex.quote(str(newest))} {shlex.quote(str(folder))}"
        )


def _differences(folder: Path, code: Mapping[str, str]) -> str:
    """The files that differ from the code that wrote the checkpoints in a folder, in words."""
    try:
        before = dict(json.loads((folder / "code.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return ""
    names = sorted(name for name in before.keys() | code.keys() if before.get(name) != code.get(name))
    return f" (what has changed since: {some(names)})" if names else ""


@dataclass(frozen=True)
class FolderLock:
    """The lock of a folder of checkpoints. It can be passed to the other processes of the training."""

    lock: Lock

    def check(self) -> None:
        """Raise UserError if another process has taken the folder."""
        try:
            self.lock.check()
        except LockLost as error:
            raise UserError(
                f"This training no longer holds the lock of {self.lock.folder} ({error}): its process was suspended, "
                "or cut off from the disk, for so long that it was considered dead. It ends without writing another "
                "checkpoint. The other process goes on; if there is none, run again: the training resumes from its "
                "last checkpoint."
            ) from None


@contextlib.contextmanager
def exclusive(folder: Path, rhythm: Rhythm = RHYTHM) -> Iterator[FolderLock]:
    """Lock a folder of checkpoints against other training processes, including those on machines that share the disk.

    Raises UserError if it is locked by a process that is alive. The lock of a process that has ended, even if it was
    killed, is free, at once on the same machine and otherwise when its heartbeat is old, which is waited for. If
    another process takes the lock all the same, this process gets SIGTERM; see also ``FolderLock.check``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder, rhythm=rhythm, lost=lambda: os.kill(os.getpid(), signal.SIGTERM)) as lock:
            for unfinished in folder.glob(".*.part"):  # left by a process that was killed while writing
                unfinished.unlink(missing_ok=True)
            yield FolderLock(lock)
    except LockTaken as taken:
        raise UserError(
            f"This training is already running ({taken}, in {folder}). Wait for it or stop it, then run again: "
            "it resumes from its last checkpoint."
        ) from None


def save_checkpoint(
    folder: Path,
    iteration: int,
    state: TrainingState,
    records: Mapping[str, torch.Tensor],
    keep: int,
    lock: FolderLock | None = None,
) -> None:
    """Write the state after ``iteration`` atomically, and delete all but the newest ``keep`` checkpoints.

    Raises UserError, and leaves the checkpoints as they are, if ``lock`` is given and was lost.
    """
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    tensors |= {f"momentum.{name}": buffer for name, buffer in _momentum(state).items()}
    if state.average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in state.average.state_dict().items()}
    tensors |= {f"records.{name}": values for name, values in records.items()}
    check = lock.check if lock else lambda: None
    check()
    with atomic_path(folder / f"checkpoint_{iteration:08}.safetensors") as temporary:
        cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        write_tensors(temporary, cpu, {"iteration": str(iteration)})
        check()  # again, because writing takes time
    keep_newest(folder, keep)


def load_checkpoint(folder: Path, state: TrainingState) -> tuple[int, dict[str, torch.Tensor]]:
    """Restore model, optimizer and average from the newest checkpoint; returns its iteration and records.

    Returns 0 and no records if there is no checkpoint. Damaged checkpoints are skipped with a warning; raises UserError
    if all are damaged.
    """
    faults = []
    for path in checkpoints(folder):
        try:
            iteration, parts = _read(path)
        except (ValueError, OSError) as error:
            faults.append(f"The checkpoint {path} is damaged ({error}).")
            continue
        for fault in faults:
            logger.warning(f"{fault} The previous one is used.")
        _restore(state, parts)
        return iteration, parts["records"]
    if faults:
        raise UserError(f"{' '.join(faults)} Delete the damaged files to start the training from scratch.")
    return 0, {}


def read_result(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The resulting weights of a finished training (see ``TrainingState.result``), and its records."""
    _, parts = _read(checkpoints(folder)[0])
    averaged = {name.removeprefix("module."): value for name, value in parts["average"].items() if "." in name}
    return averaged or parts["model"], parts["records"]


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest first."""
    return sorted(folder.glob("checkpoint_*.safetensors"), reverse=True)


def keep_newest(folder: Path, number: int) -> None:
    """Delete all but the newest ``number`` checkpoints in a folder."""
    for superseded in checkpoints(folder)[number:]:
        superseded.unlink()


def _read(path: Path) -> tuple[int, dict[str, dict[str, torch.Tensor]]]:
    """The iteration and the parts of a checkpoint. Raises ValueError if it is damaged."""
    parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "momentum": {}, "average": {}, "records": {}}
    tensors, metadata = read_safetensors(path, own=True)
    for key, tensor in tensors.items():
        part, name = key.split(".", 1)
        parts[part][name] = tensor
    return int(metadata["iteration"]), parts


def _restore(state: TrainingState, parts: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
    state.model.load_state_dict(parts["model"])
    parameters = dict(state.model.named_parameters())
    for name, buffer in parts["momentum"].items():
        parameter = parameters[name]
        # With the memory layout of the parameter.
        state.optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter.data).copy_(buffer)
    if state.average is not None:
        state.average.load_state_dict(parts["average"])


def _momentum(state: TrainingState) -> dict[str, torch.Tensor]:
    return {
        name: state.optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in state.model.named_parameters()
        if state.optimizer.state.get(parameter, {}).get("momentum_buffer") is not None
    }
