"""Which devices a job computes on, and how."""

import contextlib
import logging
from collections.abc import Iterator

import torch

from dfdc.system.errors import UserError
from dfdc.system.jobs.leases import lease

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def job_devices(wanted: str, gpus: int) -> Iterator[list[torch.device]]:
    """The devices for a job that was given ``gpus`` GPUs: ``wanted`` is auto, cpu or cuda.

    With auto, as many GPUs as the job was given and there are, else the CPU. The GPUs are for this job alone, see
    ``leases.lease``, which may have to wait for them; so this comes before anything else that touches CUDA.
    Raises UserError if cuda is wanted and there is none.
    """
    if torch.cuda.is_initialized():
        raise RuntimeError("CUDA is in use already: which GPUs this process sees cannot be changed any more")
    with lease(gpus if wanted != "cpu" else 0) as leased:
        available = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if wanted == "cuda" and not available:
            raise UserError("speed.device in the config is cuda, but torch finds no GPU. Set it to auto or cpu.")
        count = min(gpus, available) if wanted != "cpu" else 0
        if count == 0:
            yield [torch.device("cpu")]
            return
        if not leased:
            logger.warning("nvidia-smi does not say which GPUs there are, so others may use the same (see DFDC_GPUS)")
        logger.info(f"on {count} x {torch.cuda.get_device_name()}")
        yield [torch.device("cuda", number) for number in range(count)]


@contextlib.contextmanager
def job_device(wanted: str, gpus: int) -> Iterator[torch.device]:
    """The device for a job that needs but one, see ``job_devices``."""
    with job_devices(wanted, min(gpus, 1)) as devices:
        yield devices[0]
