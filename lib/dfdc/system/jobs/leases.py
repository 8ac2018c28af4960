"""Assignment of GPUs to jobs on a machine without a scheduler, or within one allocation of a scheduler.

Snakemake's ``gpu`` resource is only a number, and does not say which GPUs a job gets. So each job claims GPUs by
locking a file per GPU. The kernel releases such a lock when the process ends, however it ends.
"""

import contextlib
import fcntl
import logging
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from dfdc.system.errors import UserError

logger = logging.getLogger(__name__)

# The folder of the lock files, shared by all jobs of all users of a machine (environment variable, default). Not below
# TMPDIR, which may differ between jobs: jobs with different folders would not see each other's locks.
FOLDER = ("DFDC_GPU_LOCKS", "/tmp/dfdc-gpus")
# Environment variable with the machine's GPUs, comma-separated numbers or UUIDs, to use instead of nvidia-smi.
GPUS = "DFDC_GPUS"
# What CUDA accepts as a device in CUDA_VISIBLE_DEVICES. It ignores the list from the first invalid entry on.
_DEVICE = re.compile(r"\d+|(GPU|MIG)-\S+")


@contextlib.contextmanager
def lease(count: int, poll: float = 1.0) -> Iterator[list[str]]:
    """Lock ``count`` GPUs that no other job holds, make only these visible to CUDA, and yield their ids.

    If fewer are free, log who holds the others and retry every ``poll`` seconds; no lock is held meanwhile. If the
    machine has fewer, all of them are taken; if it has none or ``count`` is 0, no ids are yielded.
    CUDA_VISIBLE_DEVICES limits the choice. In an allocation of SLURM, only jobs in the same allocation compete for its
    GPUs: there are several if a Snakemake that runs in it starts them (salloc), or if they are submitted as a group.

    CUDA reads the environment only once per process, so this must be called before CUDA is initialised. Raises
    UserError if the lock files cannot be written.
    """
    devices = visible_devices() if count > 0 else []
    count = min(count, len(devices))
    if count == 0:
        yield []
        return
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    with contextlib.ExitStack() as held:
        taken = _wait_for(count, devices, held, poll)
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
        logger.info(f"GPUs: {', '.join(taken)}")
        try:
            yield taken
        finally:
            del os.environ["CUDA_VISIBLE_DEVICES"]
            if before is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def visible_devices() -> list[str]:
    """The GPUs that this process may use, by UUID if nvidia-smi is available, without initialising CUDA.

    Numbers in CUDA_VISIBLE_DEVICES are interpreted in the order of nvidia-smi.
    """
    machine = _devices_of_machine()
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return list(machine.values())
    visible = []
    for entry in map(str.strip, chosen.split(",")):
        if not _DEVICE.fullmatch(entry) or (machine and entry.isdigit() and entry not in machine):
            break
        visible.append(machine.get(entry, entry))
    return list(dict.fromkeys(visible))


def _devices_of_machine() -> dict[str, str]:
    """{number: id} of all GPUs; empty if they are unknown."""
    if GPUS in os.environ:
        ids = [entry.strip() for entry in os.environ[GPUS].split(",") if entry.strip()]
        return {str(number): name for number, name in enumerate(ids)}
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return devices_listed(listed)


def devices_listed(listed: str) -> dict[str, str]:
    """{number: UUID} parsed from the output of ``nvidia-smi -L``. A GPU in MIG mode is replaced by its instances, as in
    CUDA's numbering."""
    ids: list[list[str]] = []
    for name, uuid in re.findall(r"^(GPU \d+:|\s+MIG) .*\(UUID: (\S+)\)", listed, re.MULTILINE):
        if name.startswith("GPU"):
            ids.append([uuid])
        elif ids[-1][0].startswith("GPU"):
            ids[-1] = [uuid]
        else:
            ids[-1].append(uuid)
    return {str(number): uuid for number, uuid in enumerate(uuid for parts in ids for uuid in parts)}


def _wait_for(count: int, devices: Sequence[str], held: contextlib.ExitStack, poll: float) -> list[str]:
    folder = Path(os.environ.get(FOLDER[0], FOLDER[1]))
    logged = ""
    while True:
        try:
            taken, owners = _take(count, devices, folder, held)
        except OSError as error:
            raise UserError(
                f"GPUs are assigned by lock files in {folder}, which cannot be written ({error.strerror}). Set "
                f"{FOLDER[0]} to another folder, the same for all jobs of the machine."
            ) from error
        if taken:
            return taken
        free = len(devices) - len(owners)
        message = f"waiting for {count} GPU{'s' if count > 1 else ''}: " + (
            f"{free} of {len(devices)} free, the others" if free else f"all {len(devices)}"
        )
        message += f" in use by {', '.join(dict.fromkeys(owners))}"
        if message != logged:
            logger.info(message)
            logged = message
        time.sleep(poll)


def _take(
    count: int, devices: Sequence[str], folder: Path, held: contextlib.ExitStack
) -> tuple[list[str], Sequence[str]]:
    """Lock ``count`` devices until ``held`` is closed, or none; return them and the holders of the locked ones.

    A mutex serialises this, so that no process sees locks that another is about to release.
    """
    # Different allocations may give the same number to different GPUs.
    allocation = f"slurm-{job}-" if (job := os.environ.get("SLURM_JOB_ID")) else ""
    with contextlib.ExitStack() as attempt, _files_for_all():
        folder.mkdir(mode=0o1777, parents=True, exist_ok=True)
        attempt.enter_context(_locked(folder / "mutex", wait=True))
        taken, owners, paths = [], [], []
        with contextlib.ExitStack() as locks:
            for device in devices:
                if len(taken) == count:
                    break
                path = folder / f"{allocation}{device.replace('/', '_')}"
                try:
                    file = locks.enter_context(_locked(path, wait=False))
                except BlockingIOError:
                    owners.append(path.read_text() or "another process")
                    continue
                os.ftruncate(file, 0)
                os.write(file, f"process {os.getpid()}".encode())
                taken.append(device)
                paths.append(path)
            if len(taken) == count:
                held.enter_context(locks.pop_all())
                if allocation:  # unlike those of the machine's GPUs, these files are of no use later
                    held.callback(_remove, folder, paths)
                return taken, owners
        return [], owners


def _remove(folder: Path, paths: Sequence[Path]) -> None:
    """Remove lock files that this process holds; the mutex ensures that no other process is about to lock them."""
    with contextlib.suppress(OSError), _locked(folder / "mutex", wait=True):
        for path in paths:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _files_for_all() -> Iterator[None]:
    """Make files that are created in the block writable for all users."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _locked(path: Path, wait: bool) -> Iterator[int]:
    """Open a file and lock it. Raises BlockingIOError if another process holds the lock and ``wait`` is false.

    The package filelock is not used because it hides the file descriptor, and the holder's name is written to the file.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW
    try:
        file = os.open(path, flags)
    except FileNotFoundError:
        # O_CREAT only if needed: Linux refuses it for existing files of other users in a sticky, world-writable folder.
        file = os.open(path, flags | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file
    finally:
        os.close(file)
