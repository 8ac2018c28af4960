"""Which device a job computes on."""

import logging

import torch

from dfdc.errors import UserError

logger = logging.getLogger(__name__)


def choose_device(wanted: str, gpus: int) -> torch.device:
    """The device for a job that was given ``gpus`` GPUs: ``wanted`` is auto, cpu or cuda.

    With auto, a GPU if the job was given one and there is one, else the CPU. Raises UserError if cuda is wanted
    and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UserError("speed.device in the config is cuda, but torch finds no GPU. Set it to auto or cpu.")
    if wanted != "cpu" and gpus > 0 and available:
        logger.info(f"on {torch.cuda.get_device_name()}")
        return torch.device("cuda")
    return torch.device("cpu")


def set_threads(device: torch.device, torch_threads: int) -> None:
    """Give torch on a CPU the number of threads that the config says: sums depend on it to the last digits."""
    if device.type == "cpu":
        torch.set_num_threads(torch_threads)
