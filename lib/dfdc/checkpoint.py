"""The state of a training on disk: complete, exact, and for one trainer at a time.

A checkpoint is a safetensors file: the model under ``model.``, the momentum of SGD under ``momentum.``, the
metrics so far under ``metrics.``, and the iteration in the metadata. Random numbers need no state, because each
iteration's are a function of its number.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from dfdc.errors import UserError
from dfdc.files import atomic_path


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
    path: Path,
    iteration: int,
    model: torch.nn.Module,
    optimizer: torch.optim.SGD,
    metrics: Mapping[str, torch.Tensor],
) -> None:
    """Write the state after ``iteration`` atomically."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"momentum.{name}": buffer for name, buffer in _momentum(model, optimizer).items()}
    tensors |= {f"metrics.{name}": values for name, values in metrics.items()}
    with atomic_path(path) as temporary:
        cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(cpu, temporary, metadata={"iteration": str(iteration)})


def load_checkpoint(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.SGD
) -> tuple[int, dict[str, torch.Tensor]]:
    """Put a checkpoint's state into the model and the optimizer; give the iteration and the metrics.

    Without a checkpoint: iteration 0 and no metrics. Raises UserError if the file is damaged.
    """
    if not path.exists():
        return 0, {}
    parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "momentum": {}, "metrics": {}}
    try:
        with safe_open(path, "pt") as file:
            iteration = int(file.metadata()["iteration"])
            for key in file.keys():  # noqa: SIM118 (it is no mapping)
                part, name = key.split(".", 1)
                parts[part][name] = file.get_tensor(key)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"The checkpoint {path} is damaged ({error}). Delete it: the training then starts afresh."
        ) from error
    model.load_state_dict(parts["model"])
    parameters = dict(model.named_parameters())
    for name, buffer in parts["momentum"].items():
        optimizer.state[parameters[name]]["momentum_buffer"] = buffer.to(parameters[name])
    return iteration, parts["metrics"]


def _momentum(model: torch.nn.Module, optimizer: torch.optim.SGD) -> dict[str, torch.Tensor]:
    return {
        name: optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in model.named_parameters()
        if optimizer.state.get(parameter, {}).get("momentum_buffer") is not None
    }
