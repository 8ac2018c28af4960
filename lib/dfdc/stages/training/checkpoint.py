"""Checkpoints of a training, and a lock that keeps other processes out of their folder.

A checkpoint is a safetensors file: the model under ``model.``, SGD's momentum under ``momentum.``, the averaged weights
(if any) under ``average.``, the training curves under ``records.``, and the iteration in the metadata. There is no RNG
state, because all random draws depend only on seed and iteration.
"""

import contextlib
import json
import logging
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel

from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path, write_text
from dfdc.system.words import some

logger = logging.getLogger(__name__)

# To be increased when a change of code changes the numbers of a training: then checkpoints that were written before are
# not offered to go on from, see ``prepare_folder``.
TRAINING_VERSION = 1


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
            f"This training starts at iteration 0. Other code has reached iteration {reached} of it, in {newest}"
            f"{_differences(newest, code)}. If that makes no difference to a training, stop the run and go on from "
            f"there:\n  rm -r {shlex.quote(str(folder))} && mv {shlex.quote(str(newest))} {shlex.quote(str(folder))}"
        )


def _differences(folder: Path, code: Mapping[str, str]) -> str:
    """The files that differ from the code that wrote the checkpoints in a folder, in words."""
    try:
        before = json.loads((folder / "code.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    names = sorted(name for name in before.keys() | code.keys() if before.get(name) != code.get(name))
    return f" (what has changed since: {some(names)})" if names else ""


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Lock a folder of checkpoints against other training processes, including those on machines that share the disk.

    Raises UserError immediately if it is locked. The lock is released when the process ends, even if it is killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        with lock.acquire(timeout=0):
            for unfinished in folder.glob(".*.part"):  # left by a process that was killed while writing
                unfinished.unlink()
            (folder / "owner").write_text(f"process {os.getpid()} on {os.uname().nodename}\n")
            yield
    except Timeout:
        owner = (folder / "owner").read_text().strip() if (folder / "owner").exists() else "another process"
        raise UserError(
            f"This training is already running ({owner}, in {folder}). Wait for it or stop it, then run again: "
            "it resumes from its last checkpoint."
        ) from None


def save_checkpoint(
    folder: Path, iteration: int, state: TrainingState, records: Mapping[str, torch.Tensor], keep: int
) -> None:
    """Write the state after ``iteration`` atomically, and delete all but the newest ``keep`` checkpoints."""
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    tensors |= {f"momentum.{name}": buffer for name, buffer in _momentum(state).items()}
    if state.average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in state.average.state_dict().items()}
    tensors |= {f"records.{name}": values for name, values in records.items()}
    with atomic_path(folder / f"checkpoint_{iteration:08}.safetensors") as temporary:
        cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(cpu, temporary, metadata={"iteration": str(iteration)})
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
        except (SafetensorError, OSError) as error:
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
    parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "momentum": {}, "average": {}, "records": {}}
    with safe_open(path, "pt") as file:
        for key in file.keys():  # noqa: SIM118 (not a mapping)
            part, name = key.split(".", 1)
            parts[part][name] = file.get_tensor(key)
        return int(file.metadata()["iteration"]), parts


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
