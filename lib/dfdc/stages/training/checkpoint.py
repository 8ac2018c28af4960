"""The state of a training on disk: complete, exact, and for one trainer at a time.

A checkpoint is a safetensors file: the model under ``model.``, the momentum of SGD under ``momentum.``, the averaged
weights (if they are kept) under ``average.``, what was measured so far under ``records.``, and the iteration in the
metadata. Random numbers need no state, because each iteration's are a function of its number.
"""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel

from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingState:
    """What a training changes: the model, its optimizer, and the running average of its weights, if there is one."""

    model: torch.nn.Module
    optimizer: torch.optim.SGD
    average: AveragedModel | None = None

    def result(self) -> dict[str, torch.Tensor]:
        """The weights that the training is for, on the CPU."""
        chosen = self.model if self.average is None else self.average.module
        return {name: tensor.detach().cpu().contiguous() for name, tensor in chosen.state_dict().items()}


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keep every other trainer out of a folder of checkpoints, also on another machine that shares the disk.

    Raises UserError at once if there is one in it. The lock goes with the process, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        with lock.acquire(timeout=0):
            for unfinished in folder.glob(".*.part"):  # of a trainer that was killed while it wrote
                unfinished.unlink()
            (folder / "owner").write_text(f"process {os.getpid()} on {os.uname().nodename}\n")
            yield
    except Timeout:
        owner = (folder / "owner").read_text().strip() if (folder / "owner").exists() else "another process"
        raise UserError(
            f"This training is already running ({owner}, in {folder}). Wait for it or stop it, then run again: "
            "it goes on from its last checkpoint."
        ) from None


def save_checkpoint(
    folder: Path, iteration: int, state: TrainingState, records: Mapping[str, torch.Tensor], keep: int
) -> None:
    """Write the state after ``iteration`` atomically, and remove all checkpoints but the newest ``keep``."""
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
    """Put the newest checkpoint's state into the model and the optimizer; give the iteration and the records.

    Without a checkpoint: iteration 0 and no records. A damaged one is passed over with a warning; raises UserError
    if all of them are damaged.
    """
    faults = []
    for path in checkpoints(folder):
        try:
            iteration, parts = _read(path)
        except (SafetensorError, OSError) as error:
            faults.append(f"The checkpoint {path} is damaged ({error}).")
            continue
        for fault in faults:
            logger.warning(f"{fault} The one before is taken.")
        _restore(state, parts)
        return iteration, parts["records"]
    if faults:
        raise UserError(f"{' '.join(faults)} Delete what is damaged: the training then starts afresh.")
    return 0, {}


def read_result(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The weights that a finished training is for, as ``TrainingState.result`` gives them, and its records."""
    _, parts = _read(checkpoints(folder)[0])
    averaged = {name.removeprefix("module."): value for name, value in parts["average"].items() if "." in name}
    return averaged or parts["model"], parts["records"]


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest first."""
    return sorted(folder.glob("checkpoint_*.safetensors"), reverse=True)


def keep_newest(folder: Path, number: int) -> None:
    """Remove all checkpoints in a folder but the newest ``number``."""
    for superseded in checkpoints(folder)[number:]:
        superseded.unlink()


def _read(path: Path) -> tuple[int, dict[str, dict[str, torch.Tensor]]]:
    parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "momentum": {}, "average": {}, "records": {}}
    with safe_open(path, "pt") as file:
        for key in file.keys():  # noqa: SIM118 (it is no mapping)
            part, name = key.split(".", 1)
            parts[part][name] = file.get_tensor(key)
        return int(file.metadata()["iteration"]), parts


def _restore(state: TrainingState, parts: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
    state.model.load_state_dict(parts["model"])
    parameters = dict(state.model.named_parameters())
    for name, buffer in parts["momentum"].items():
        parameter = parameters[name]
        # Laid out in memory as the parameter is.
        state.optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter.data).copy_(buffer)
    if state.average is not None:
        state.average.load_state_dict(parts["average"])


def _momentum(state: TrainingState) -> dict[str, torch.Tensor]:
    return {
        name: state.optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in state.model.named_parameters()
        if state.optimizer.state.get(parameter, {}).get("momentum_buffer") is not None
    }
