"""Selection of the devices that a job computes on."""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import torch

from dfdc.system.errors import UserError
from dfdc.system.jobs.leases import lease

logger = logging.getLogger(__name__)

# Set by the tests of clusters, whose nodes pretend to have GPUs: jobs then compute on the CPU.
PRETENDED = "DFDC_PRETENDED_GPUS"


def requested_gpus(resources: Any) -> int:
    """The number of GPUs that a job's resources request, as ``gpu`` or else as ``gres`` (``gpu:2``, ``gpu:a100:2``)."""
    kind, _, number = str(resources.get("gres") or "").partition(":")
    if resources.gpu or kind != "gpu":
        return int(resources.gpu)
    number = number.rpartition(":")[2]
    return int(number) if number.isdigit() else 1


@contextlib.contextmanager
def job_devices(wanted: str, gpus: int) -> Iterator[list[torch.device]]:
    """The devices of a job to which Snakemake assigned ``gpus`` GPUs; ``wanted`` is auto, cpu or cuda.

    With auto, up to ``gpus`` of the available GPUs, or the CPU if there are none. The GPUs are used by this job only,
    see ``leases.lease``, which may wait for them. Must be called before CUDA is initialised.
    Raises UserError if ``wanted`` is cuda and no GPU is available, or if torch does not see a GPU that was leased.
    """
    if torch.cuda.is_initialized():
        raise RuntimeError("CUDA is already initialised: the GPUs visible to this process can no longer be changed")
    with lease(gpus if wanted != "cpu" else 0) as leased:
        available = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if wanted == "cuda" and not available:
            raise UserError("speed.device in the config is cuda, but torch finds no GPU. Set it to auto or cpu.")
        if leased and not available and not os.environ.get(PRETENDED):
            raise UserError(
                f"This job has {len(leased)} of this machine's GPUs, but torch {torch.__version__} finds none: it is a "
                "build for CPUs, or for another driver. Install one for this machine's driver (see docs/"
                "gpus-and-clusters.md), or set speed.device in the config to cpu."
            )
        count = min(gpus, available) if wanted != "cpu" else 0
        if count == 0:
            yield [torch.device("cpu")]
            return
        if not leased:
            logger.warning("nvidia-smi lists no GPUs, so other jobs may use the same ones (see DFDC_GPUS)")
        logger.info(f"running on {count} x {torch.cuda.get_device_name()}")
        yield [torch.device("cuda", number) for number in range(count)]


@contextlib.contextmanager
def job_device(wanted: str, gpus: int) -> Iterator[torch.device]:
    """The device of a job that needs only one, see ``job_devices``."""
    with job_devices(wanted, min(gpus, 1)) as devices:
        yield devices[0]
