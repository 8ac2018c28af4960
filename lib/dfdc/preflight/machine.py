"""Checks of the machine: cores, memory, GPUs, disks, and locks of other runs.

The rates are those of docs/performance.md ("A full-size run"), measured on two cores of an AMD EPYC; estimates are
accurate to within a factor of about two.
"""

import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from dfdc.preflight.data import Amounts
from dfdc.preflight.findings import Finding, untrained
from dfdc.system.jobs.leases import visible_devices
from dfdc.system.jobs.runs import STATE, active
from dfdc.system.words import duration, in_units, some
from dfdc.system.workers.processes import available_cores

# Core-seconds: to detect the faces of a video (with DSFD on a CPU, in 50 frames), and to cut a pair.
DETECTION = {"yunet": 3.8, "dsfd": 83.0}
EXTRACTION = 0.94
# Bytes of a pair of clips of 50 frames, of a test video's crops, and of a part's tables.
PAIR, FACES, TABLES = 12.5e6, 18e6, 10e6
# Memory in bytes of a job, and of each of its workers.
JOB, WORKER = 0.5e9, 0.25e9
# Forward passes (faces) of EfficientNet-B7 per core-second, and the cost of a training step relative to a forward pass.
B7, LEARNING = 8.9, 3
# Where the kernel lists this process's control groups, and where they are mounted.
GROUP_NAMES, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
NETWORK_DISKS = (
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.sshfs",
    "glusterfs",
    "gpfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
)


def look_at_machine(config: Mapping[str, Any], amounts: Amounts) -> Iterator[Finding]:
    """Findings about the machine, for a run in the working directory with this amount of data."""
    gpus = list(_gpus(config))
    yield from gpus
    has_gpu = any(finding.level == "ok" for finding in gpus)
    cores = usable_cores()
    yield from _cores(cores, has_gpu, config, amounts)
    if not has_gpu:
        yield from _without_gpu(cores, config)
    yield from _memory(cores)
    yield from _shared_memory(cores, config)
    yield from _disk(config, amounts)
    yield from _locks()


def usable_cores() -> float:
    """The number of cores that this process may use: its CPU affinity, or less if its control group has a quota."""
    return min([available_cores(), *_cpu_quotas()])


def usable_memory() -> int:
    """The memory in bytes that this process may use: all of the machine's, or its control group's limit."""
    limits = [
        int(text)
        for text in (*_of_groups("", "memory.max"), *_of_groups("memory", "memory.limit_in_bytes"))
        if text.isdigit()
    ]
    return min([psutil.virtual_memory().total, *limits])


def _cpu_quotas() -> Iterator[float]:
    pairs = [text.split() for text in _of_groups("", "cpu.max")]
    pairs += zip(_of_groups("cpu", "cpu.cfs_quota_us"), _of_groups("cpu", "cpu.cfs_period_us"), strict=False)
    for quota, period in pairs:
        if quota.isdigit():  # else "max" or -1: no quota
            yield int(quota) / int(period)


def _of_groups(controller: str, name: str) -> Iterator[str]:
    """The contents of a file in this process's control group and its parents; the controller is "" for cgroup v2.

    In a container the group's path may not exist; the root is then the container's own group.
    """
    try:
        lines = GROUP_NAMES.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            top = GROUPS / controller
            group = top / path.lstrip("/")
            for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(top))):
                if (folder / name).is_file():
                    yield (folder / name).read_text().strip()


def _gpus(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings about GPUs; one of them is ok if jobs can use a GPU."""
    if config["speed"]["device"] == "cpu":
        yield Finding("note", "GPUs", "not used: speed.device is cpu")
        return
    listed = visible_devices()
    import torch  # takes seconds

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        fault = "torch finds no GPU" if torch.version.cuda else f"torch {torch.__version__} is built without CUDA"
        fault = f"nvidia-smi sees {len(listed)}, but {fault}" if listed else fault
        level = "stops" if config["speed"]["device"] == "cuda" else "slow" if listed else "note"
        remedy = "Install torch for the driver's CUDA: see https://pytorch.org/get-started/locally." if listed else ""
        yield Finding(level, "GPUs", fault, remedy or ("Set speed.device to auto or cpu." if level == "stops" else ""))
        return
    devices = [torch.cuda.get_device_properties(number) for number in range(count)]
    kinds = sorted({f"{device.name}, {in_units(device.total_memory)}" for device in devices})
    yield Finding("ok", "GPUs", f"{count}: {some(kinds)}; give snakemake --resources gpu={count}")
    if not listed:
        yield Finding(
            "note",
            "GPUs",
            "nvidia-smi does not list them, so concurrent jobs may use the same one.",
            "List them in the environment variable DFDC_GPUS, for example DFDC_GPUS=0,1.",
        )
    if untrained(config) and config["training"]["precision"] == "bf16" and any(device.major < 8 for device in devices):
        yield Finding(
            "slow", "GPUs", "Not all of them support bfloat16 (training.precision).", "training: {precision: fp32}"
        )


def _without_gpu(cores: float, config: Mapping[str, Any]) -> Iterator[Finding]:
    models = [config["models"][name] for name in untrained(config)]
    faces = max((len(model["frames"]) for model in models if model["architecture"] == "efficientnet-b7"), default=0)
    if faces:
        training = config["training"]
        seconds = training["iterations"] * training["batch_pairs"] * faces * LEARNING / B7 / cores
        yield Finding(
            "slow",
            "GPUs",
            f"Training efficientnet-b7 takes about {duration(seconds)} without a GPU.",
            "Use smaller models, fewer training.iterations, or a machine with a GPU.",
        )
    threads = config["torch_threads"]
    if threads > cores:
        yield Finding(
            "slow",
            "cores",
            f"torch_threads is {threads}, more than the {cores:g} cores: threads wait for each other.",
            f"torch_threads: {max(int(cores), 1)} (it changes the last digits of results)",
        )


def _cores(cores: float, has_gpu: bool, config: Mapping[str, Any], amounts: Amounts) -> Iterator[Finding]:
    detector = config["detection"]["train"]["detector"]
    on_cores = detector == "yunet" or not has_gpu
    seconds = amounts.videos * DETECTION[detector] * on_cores + amounts.pairs * EXTRACTION
    message = f"{cores:g}"
    if seconds:
        work = "detection and extraction of clips" if on_cores else "extraction of clips"
        message += f"; {work} from the training parts takes about {duration(seconds / cores)}"
    yield Finding("ok", "cores", message)
    if cores < (of_machine := available_cores()):
        yield Finding(
            "slow",
            "cores",
            f"A quota allows {cores:g} of the {of_machine} cores that --cores all takes.",
            f"snakemake --cores {max(int(cores), 1)}",
        )


def _memory(cores: float) -> Iterator[Finding]:
    usable, needed = usable_memory(), JOB + WORKER * cores
    if usable < needed:
        most = max(int((usable - JOB) / WORKER), 1)
        yield Finding(
            "stops",
            "memory",
            f"{in_units(usable)}, but workers on all cores need about {in_units(needed)} to decode and cut.",
            f"snakemake --cores {most}",
        )
    else:
        yield Finding("ok", "memory", f"{in_units(usable)}; workers on all cores need about {in_units(needed)}")


def _shared_memory(cores: float, config: Mapping[str, Any]) -> Iterator[Finding]:
    """Worker processes pass batches through shared memory, which is small in containers by default."""
    place = Path("/dev/shm")
    models = [config["models"][name] for name in untrained(config)]
    if not models or not place.is_dir():
        return
    faces = max(len(model["frames"]) * model["crop"]["height"] * model["crop"]["width"] for model in models)
    # Up to four batches per worker, with one byte for each of three channels, real and fake.
    needed = 4 * cores * config["training"]["batch_pairs"] * faces * 3 * 2
    free = shutil.disk_usage(place).free
    if free < needed:
        yield Finding(
            "stops",
            "memory",
            f"Training needs about {in_units(needed)} of shared memory, but {place} has only {in_units(free)} free.",
            "In a container, use --shm-size; otherwise speed: {workers: 1}.",
        )


def _disk(config: Mapping[str, Any], amounts: Amounts) -> Iterator[Finding]:
    here = Path.cwd()
    if not os.access(here, os.W_OK):
        yield Finding("stops", "disk", f"{here}, where everything is written, is not writable.")
        return
    results = Path("results") if Path("results").is_dir() else here
    stores = [*results.glob("clips/*.arrow"), *results.glob("test/crops/*.arrow")]
    existing = sum(store.stat().st_size for store in stores)
    clips = amounts.pairs * PAIR * config["clips"]["frames"] / 50
    rest = amounts.parts * TABLES + amounts.test_videos * FACES + _of_trainings(config)
    needed, free = max(clips + rest - existing, 0), shutil.disk_usage(results.resolve()).free
    message = f"{in_units(free)} free in {results.resolve()}; results take about {in_units(needed)}"
    message += " more" * bool(existing)
    if free < needed:
        remedy = "Free some space, or make results a link to a folder on a larger disk."
        yield Finding("stops", "disk", f"{message} (all clips {in_units(clips)}, if faces are 250 pixels high)", remedy)
    else:
        yield Finding("ok", "disk", message)
    if (kind := disk_kind(results)) in NETWORK_DISKS:
        yield Finding(
            "slow",
            "disk",
            f"{results.resolve()} is on a network disk ({kind}), and training reads clips in random order.",
            "On a single machine, make results a link to a folder on a local disk; cluster nodes must share it.",
        )


def _of_trainings(config: Mapping[str, Any]) -> float:
    """Bytes of the weights of all models to train, and of their checkpoints (weights and momentum, in float32)."""
    from dfdc.networks.families import state_shapes  # imported late, because torch takes seconds to import

    copies = 1.5 + 2 * (config["speed"]["checkpoints_kept"] + 1)  # plus the one being written
    models = [config["models"][name] for name in untrained(config)]
    shapes = [shape for model in models for shape in state_shapes(model["architecture"], model["kind"]).values()]
    return 4 * copies * sum(map(math.prod, shapes))


def disk_kind(path: Path) -> str:
    """The kernel's name for the type of file system that a path is on; empty if unknown."""
    path, best = path.resolve(), ("", "")
    for disk in psutil.disk_partitions(all=True):
        # If two are mounted at the same path, the later one is visible.
        if path.is_relative_to(disk.mountpoint) and len(disk.mountpoint) >= len(best[0]):
            best = disk.mountpoint, disk.fstype
    return best[1]


def _locks() -> Iterator[Finding]:
    """Whether another Snakemake is running here or has left locks (see ``dfdc.system.jobs.runs``)."""
    if found := active():
        who = f"{Path.cwd()} is in use by {some(map(str, found))}."
        yield Finding("stops", "locks", who, "Wait for it to end, or stop it.")
    elif list(STATE.glob("locks/*.lock")):
        yield Finding("note", "locks", "A run that was killed has left its locks; the next run removes them.")
    else:
        yield Finding("ok", "locks", f"no other run is active in {Path.cwd()}")
