"""Precision and number of threads for networks."""

import os

import torch

from dfdc.system.errors import UserError


def set_threads(device: torch.device, torch_threads: int) -> None:
    """On a CPU, set torch's number of threads, which affects the last digits of sums.

    Raises UserError if OpenMP, which starts the threads, is told to start fewer, or as many as the load permits: the
    backward pass then waits for the missing ones for ever.
    """
    if device.type == "cpu":
        _refuse_fewer(torch_threads)
        torch.set_num_threads(torch_threads)


def _refuse_fewer(torch_threads: int) -> None:
    dynamic, limit = (os.environ.get(name, "").strip() for name in ("OMP_DYNAMIC", "OMP_THREAD_LIMIT"))
    if dynamic.lower() == "true" and torch_threads > 1:
        setting = f"OMP_DYNAMIC is {dynamic}"
    elif limit.isdecimal() and 0 < int(limit) < torch_threads:
        setting = f"OMP_THREAD_LIMIT is {limit}"
    else:
        return
    raise UserError(
        f"{setting} in the environment, so torch may get fewer threads than torch_threads in the config "
        f"({torch_threads}): a training would wait for the others for ever. Unset {setting.split()[0]}."
    )


def set_precision(device: torch.device, precision: str) -> None:
    """On a GPU, enable cuDNN's autotuner for inputs of constant size, and disable TF32 in fp32."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = precision != "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context of networks: bfloat16 on a GPU if ``precision`` is bf16, else disabled."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" and precision == "bf16")
