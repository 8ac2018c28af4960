"""The machine: cores, memory, GPUs, disks, and what other runs hold.

The rates are those of docs/performance.md ("A full-size run"), measured on two cores of an AMD EPYC: they say what
to expect to within a factor of two or so.
"""

import fcntl
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
from dfdc.system.jobs.runs import STATE
from dfdc.system.words import duration, in_units, some

# Core-seconds: of a video whose faces are detected (DSFD on a CPU looks at 50 frames of it), and of a pair that is cut.
DETECTION = {"yunet": 3.8, "dsfd": 83.0}
EXTRACTION = 0.94
# Bytes: of a pair of clips of 50 frames, of a test video's faces, of a part's tables.
PAIR, FACES, TABLES = 12.5e6, 18e6, 10e6
# Bytes of memory: of a job, and of each of its workers.
JOB, WORKER = 0.5e9, 0.25e9
# Faces that EfficientNet-B7 looks at in a core-second, and how much more work learning from a face is than looking.
B7, LEARNING = 8.9, 3
# What the kernel says of this process's control groups.
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
    """Findings about the machine, for a run in the working directory that has ``amounts`` of data to work on."""
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
    """The cores that this process may use: those it is bound to, or fewer if its control group has a quota."""
    return min([len(os.sched_getaffinity(0)), *_cpu_quotas()])


def usable_memory() -> int:
    """The bytes of memory that this process may use: all of the machine's, or its control group's limit."""
    limits = [
        int(text)
        for text in (*_of_groups("", "memory.max"), *_of_groups("memory", "memory.limit_in_bytes"))
        if text.isdigit()
    ]
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *limits])


def _cpu_quotas() -> Iterator[float]:
    pairs = [text.split() for text in _of_groups("", "cpu.max")]
    pairs += zip(_of_groups("cpu", "cpu.cfs_quota_us"), _of_groups("cpu", "cpu.cfs_period_us"), strict=False)
    for quota, period in pairs:
        if quota.isdigit():  # else "max" or -1: there is none
            yield int(quota) / int(period)


def _of_groups(controller: str, name: str) -> Iterator[str]:
    """What a file says in this process's control group and those above it; "" is the controller of version 2.

    In a container the group may not be seen under its path; what is seen at the top is then the container's own.
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
    """What there is of GPUs; one finding is ok if jobs can use one."""
    if config["speed"]["device"] == "cpu":
        yield Finding("note", "GPUs", "not used: speed.device is cpu")
        return
    listed = visible_devices()
    import torch  # takes seconds

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        built = "no GPU is found" if torch.version.cuda else f"torch {torch.__version__} is built without CUDA"
        there = f"nvidia-smi sees {len(listed)}, but {built}" if listed else built
        level = "stops" if config["speed"]["device"] == "cuda" else "slow" if listed else "note"
        remedy = "Install torch for the driver's CUDA: see https://pytorch.org/get-started/locally." if listed else ""
        yield Finding(level, "GPUs", there, remedy or ("Set speed.device to auto or cpu." if level == "stops" else ""))
        return
    devices = [torch.cuda.get_device_properties(number) for number in range(count)]
    kinds = sorted({f"{device.name}, {in_units(device.total_memory)}" for device in devices})
    yield Finding("ok", "GPUs", f"{count}: {some(kinds)}; give snakemake --resources gpu={count}")
    if not listed:
        yield Finding(
            "note",
            "GPUs",
            "nvidia-smi does not say which there are, so jobs at the same time may use the same one.",
            "Name them in the environment variable DFDC_GPUS, such as DFDC_GPUS=0,1.",
        )
    if untrained(config) and config["training"]["precision"] == "bf16" and any(device.major < 8 for device in devices):
        yield Finding(
            "slow", "GPUs", "Not all have units for bfloat16 (training.precision).", "training: {precision: fp32}"
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
            f"A training of efficientnet-b7 takes about {duration(seconds)} on the cores alone.",
            "Smaller models, fewer training.iterations, or a machine with a GPU.",
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
    what = f"{cores:g}"
    if seconds:
        work = "detection and clips" if on_cores else "clips"
        what += f"; {work} of the training parts take them about {duration(seconds / cores)}"
    yield Finding("ok", "cores", what)
    if cores < len(os.sched_getaffinity(0)):
        yield Finding(
            "slow",
            "cores",
            f"A quota allows {cores:g} of the {len(os.sched_getaffinity(0))} cores that --cores all takes.",
            f"snakemake --cores {max(int(cores), 1)}",
        )


def _memory(cores: float) -> Iterator[Finding]:
    usable, needed = usable_memory(), JOB + WORKER * cores
    if usable < needed:
        most = max(int((usable - JOB) / WORKER), 1)
        yield Finding(
            "stops",
            "memory",
            f"{in_units(usable)}, but workers on all cores hold about {in_units(needed)} when they decode and cut.",
            f"snakemake --cores {most}",
        )
    else:
        yield Finding("ok", "memory", f"{in_units(usable)}; workers on all cores hold about {in_units(needed)}")


def _shared_memory(cores: float, config: Mapping[str, Any]) -> Iterator[Finding]:
    """Batches come from the loading processes through shared memory, of which containers have little."""
    place = Path("/dev/shm")
    models = [config["models"][name] for name in untrained(config)]
    if not models or not place.is_dir():
        return
    faces = max(len(model["frames"]) * model["crop"]["height"] * model["crop"]["width"] for model in models)
    # Of each worker four batches wait, a byte for each of three colours, real and fake.
    needed = 4 * cores * config["training"]["batch_pairs"] * faces * 3 * 2
    free = shutil.disk_usage(place).free
    if free < needed:
        yield Finding(
            "stops",
            "memory",
            f"A training passes about {in_units(needed)} through shared memory; {place} has room for {in_units(free)}.",
            "In a container: --shm-size; else speed: {workers: 1}.",
        )


def _disk(config: Mapping[str, Any], amounts: Amounts) -> Iterator[Finding]:
    here = Path.cwd()
    if not os.access(here, os.W_OK):
        yield Finding("stops", "disk", f"{here} cannot be written to, and everything is written there.")
        return
    results = Path("results") if Path("results").is_dir() else here
    stores = [*results.glob("clips/*.arrow"), *results.glob("test/crops/*.arrow")]
    there = sum(store.stat().st_size for store in stores)
    clips = amounts.pairs * PAIR * config["clips"]["frames"] / 50
    rest = amounts.parts * TABLES + amounts.test_videos * FACES + _of_trainings(config)
    needed, free = max(clips + rest - there, 0), shutil.disk_usage(results.resolve()).free
    what = f"{in_units(free)} free in {results.resolve()}; results take about {in_units(needed)}" + " more" * bool(
        there
    )
    if free < needed:
        remedy = "Make room, or let results be a link to a folder on a larger disk."
        yield Finding("stops", "disk", f"{what} (all clips {in_units(clips)}, if faces are 250 pixels high)", remedy)
    else:
        yield Finding("ok", "disk", what)
    if (kind := disk_kind(results)) in NETWORK_DISKS:
        yield Finding(
            "slow",
            "disk",
            f"{results.resolve()} is on a network disk ({kind}), and trainings read clips all over it.",
            "On one machine let results be a link to a folder on a disk of its own; nodes of a cluster must share it.",
        )


def _of_trainings(config: Mapping[str, Any]) -> float:
    """Bytes of the weights of all models to train, and of their checkpoints: weights and momentum, in float32."""
    from dfdc.networks.efficientnet import state_shapes  # not above, because torch takes seconds to import

    copies = 1.5 + 2 * (config["speed"]["checkpoints_kept"] + 1)  # one is being written
    models = [config["models"][name] for name in untrained(config)]
    shapes = [shape for model in models for shape in state_shapes(model["architecture"], model["kind"]).values()]
    return 4 * copies * sum(map(math.prod, shapes))


def disk_kind(path: Path) -> str:
    """The kind of file system that a path lies on, as the kernel calls it; empty if it does not say."""
    path, best = path.resolve(), ("", "")
    for disk in psutil.disk_partitions(all=True):
        # Of two at the same place the later one is seen.
        if path.is_relative_to(disk.mountpoint) and len(disk.mountpoint) >= len(best[0]):
            best = disk.mountpoint, disk.fstype
    return best[1]


def _locks() -> Iterator[Finding]:
    """Whether another Snakemake is at work here, or has left locks (see ``dfdc.system.jobs.runs``)."""
    left = list(STATE.glob("locks/*.lock"))
    held = {name: _held(STATE / f"{name}.alive") for name in ("runs", "jobs")}
    if any(held.values()):
        what = "Another run" if held["runs"] else "A job of a run that was killed"
        yield Finding("stops", "locks", f"{what} is at work in {Path.cwd()}.", "Wait for it, or end it.")
    elif left and None in held.values():
        what = "A run has left its locks, and this disk does not say whether it is still at work."
        yield Finding("stops", "locks", what, "If it is not: snakemake --unlock, with the arguments of the run.")
    elif left:
        yield Finding("note", "locks", "A run that was killed has left its locks; the next one removes them.")
    else:
        yield Finding("ok", "locks", f"no other run is at work in {Path.cwd()}")


def _held(path: Path) -> bool | None:
    """Whether somebody holds the lock of a file; None on a disk without locks."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return False
