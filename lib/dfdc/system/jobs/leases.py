"""GPUs that the jobs of a machine share out among themselves, where no scheduler does it.

Snakemake knows how many GPUs there are to give and not which (its ``gpu`` resource is a number). So each job takes
what it needs by locking a file for each GPU. The kernel drops such a lock when its holder ends, however it ends.
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

# The folder of the lock files, for all jobs of all users of a machine. Not what TMPDIR says: that may differ between
# jobs, and those that use different folders do not see each other.
FOLDER = ("DFDC_GPU_LOCKS", "/tmp/dfdc-gpus")
# The GPUs of the machine, numbers or UUIDs with commas, if nvidia-smi is not to be asked or not there.
GPUS = "DFDC_GPUS"
# What CUDA takes for the name of a device. It reads its list up to the first entry that is none.
_DEVICE = re.compile(r"\d+|(GPU|MIG)-\S+")


@contextlib.contextmanager
def lease(count: int, poll: float = 1.0) -> Iterator[list[str]]:
    """Hold ``count`` GPUs that no other job holds, show CUDA these alone, and give their ids.

    If fewer are free, wait, say for whom, and look again every ``poll`` seconds; nothing is held meanwhile. Where
    there are fewer altogether, all of them are enough; where there are none, or none are wanted, no id is given.
    CUDA_VISIBLE_DEVICES limits which are taken. What SLURM gave this job alone needs no lock and is left as it is.

    CUDA looks at the environment once, at its first use in a process; that must not have been before. Raises
    UserError if the lock files cannot be written.
    """
    devices = visible_devices() if count > 0 else []
    count = min(count, len(devices))
    if count == 0:
        yield []
        return
    if "SLURM_JOB_ID" in os.environ and count == len(devices):
        logger.info(f"GPUs as SLURM chose them: {', '.join(devices)}")
        yield devices
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
    """The GPUs that this process may use, by UUID where nvidia-smi knows them, without touching CUDA.

    Numbers in CUDA_VISIBLE_DEVICES are taken as nvidia-smi counts.
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
    """{number: id} of all GPUs, none if they are not known."""
    if GPUS in os.environ:
        ids = [entry.strip() for entry in os.environ[GPUS].split(",") if entry.strip()]
        return {str(number): name for number, name in enumerate(ids)}
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return devices_listed(listed)


def devices_listed(listed: str) -> dict[str, str]:
    """{number: UUID} of what ``nvidia-smi -L`` printed. Of a GPU that is divided (MIG) its parts, which CUDA numbers
    in its place."""
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
    said = ""
    while True:
        try:
            taken, owners = _take(count, devices, folder, held)
        except OSError as error:
            raise UserError(
                f"GPUs are shared out by locks in {folder}, which cannot be written ({error.strerror}). Name another "
                f"folder in {FOLDER[0]}, the same for all jobs of the machine."
            ) from error
        if taken:
            return taken
        free = len(devices) - len(owners)
        message = f"waiting for {count} GPU{'s' if count > 1 else ''}: " + (
            f"{free} of {len(devices)} free, the others" if free else f"all {len(devices)}"
        )
        message += f" in use by {', '.join(dict.fromkeys(owners))}"
        if message != said:
            logger.info(message)
            said = message
        time.sleep(poll)


def _take(
    count: int, devices: Sequence[str], folder: Path, held: contextlib.ExitStack
) -> tuple[list[str], Sequence[str]]:
    """Lock ``count`` devices until ``held`` is closed, or none; give them, and who has those that are locked.

    One process at a time does this, so that none sees what another is about to let go.
    """
    with contextlib.ExitStack() as attempt, _files_for_all():
        folder.mkdir(mode=0o1777, parents=True, exist_ok=True)
        attempt.enter_context(_locked(folder / "mutex", wait=True))
        taken, owners = [], []
        with contextlib.ExitStack() as locks:
            for device in devices:
                if len(taken) == count:
                    break
                path = folder / device.replace("/", "_")
                try:
                    file = locks.enter_context(_locked(path, wait=False))
                except BlockingIOError:
                    owners.append(path.read_text() or "another process")
                    continue
                os.ftruncate(file, 0)
                os.write(file, f"process {os.getpid()}".encode())
                taken.append(device)
            if len(taken) == count:
                held.enter_context(locks.pop_all())
                return taken, owners
        return [], owners


@contextlib.contextmanager
def _files_for_all() -> Iterator[None]:
    """Let every user write to the files that are made in the block."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _locked(path: Path, wait: bool) -> Iterator[int]:
    """Open a file and lock it. Raises BlockingIOError if another holds the lock and it is not to be waited for.

    Not filelock, which keeps the open file to itself: the holder's name is written to it.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW
    try:
        file = os.open(path, flags)
    except FileNotFoundError:
        # Only now with O_CREAT: Linux refuses that for files of others in a folder for all.
        file = os.open(path, flags | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file
    finally:
        os.close(file)
