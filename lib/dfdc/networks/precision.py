"""In which precision, and with how many threads, networks compute."""

import torch


def set_threads(device: torch.device, torch_threads: int) -> None:
    """Give torch on a CPU the number of threads that the config says: sums depend on it to the last digits."""
    if device.type == "cpu":
        torch.set_num_threads(torch_threads)


def set_precision(device: torch.device, precision: str) -> None:
    """Make a GPU fast at pictures of one size, and in fp32 keep it from rounding to fewer digits (TF32)."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = precision != "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which networks run: bfloat16 where it gains speed on a GPU if ``precision`` is bf16."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" and precision == "bf16")
