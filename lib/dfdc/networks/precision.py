"""Precision and number of threads for networks."""

import torch


def set_threads(device: torch.device, torch_threads: int) -> None:
    """On a CPU, set torch's number of threads, which affects the last digits of sums."""
    if device.type == "cpu":
        torch.set_num_threads(torch_threads)


def set_precision(device: torch.device, precision: str) -> None:
    """On a GPU, enable cuDNN's autotuner for inputs of constant size, and disable TF32 in fp32."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = precision != "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context of networks: bfloat16 on a GPU if ``precision`` is bf16, else disabled."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" and precision == "bf16")
