"""The machine, and what only CUDA knows: these say "not on a CPU" where there is no GPU."""

import os
import platform
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import torch

from gpu.bench import Bench
from gpu.rows import NO_GPU, Row


def machine(bench: Bench) -> Iterator[Row]:
    """The card, its driver, cores, and versions."""
    cuda = bench.device.type == "cuda"
    yield Row("card", torch.cuda.get_device_name() if cuda else NO_GPU)
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30 if cuda else NO_GPU
    yield Row("its memory", memory, "GiB" if cuda else "")
    yield Row("driver", _driver() if cuda else NO_GPU)
    yield Row("cores that may be used", str(bench.cores), note=f"of {os.cpu_count()}")
    yield Row("hardware threads of a core", _threads_per_core())
    yield Row("torch", torch.__version__, note=f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}")
    yield Row("Python", platform.python_version(), note=f"PyAV {av.__version__}")


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown ({type(error).__name__})"
    return done.stdout.split("\n")[0].strip()


def _threads_per_core() -> str:
    try:
        listed = Path("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return "unknown"
    ranges = [part.split("-") for part in listed.split(",")]
    return str(sum(int(ends[-1]) - int(ends[0]) + 1 for ends in ranges))


def peak_memory(device: torch.device, work: Callable[[], object]) -> Row:
    """The most memory that tensors took on the GPU while something was done."""
    if device.type != "cuda":
        work()
        return Row("peak memory", NO_GPU)
    torch.cuda.reset_peak_memory_stats()
    work()
    return Row("peak memory", torch.cuda.max_memory_allocated() / 2**30, "GiB", note="of tensors, weights included")


def synchronisations(device: torch.device, work: Callable[[], object], times: int) -> Row:
    """How often the CPU waited for the GPU while something was done ``times`` times."""
    if device.type != "cuda":
        work()
        return Row("synchronisations a step", NO_GPU)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    found = [warning for warning in caught if "synchroniz" in str(warning.message)]
    places = sorted({f"{Path(warning.filename).name}:{warning.lineno}" for warning in found})
    return Row("synchronisations a step", len(found) / times, note=", ".join(places[:3]))


def idle_share(device: torch.device, work: Callable[[], object]) -> Row:
    """The share of the time in which the GPU ran no kernel while something was done, by the profiler."""
    if device.type != "cuda":
        work()
        return Row("idle share of the GPU", NO_GPU)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=activities) as profiler:
        work()
        torch.cuda.synchronize()
    # Annotations, such as the optimizer's, stand beside the kernels and span the gaps between them.
    busy = [
        (event.time_range.start, event.time_range.end)
        for event in profiler.events()
        if event.device_type == torch.autograd.DeviceType.CUDA and not event.is_user_annotation
    ]
    note = "the profiler slows launches down: with fast kernels this is an upper bound"
    return Row("idle share of the GPU", 1 - covered(busy), note=note)


def covered(spans: list[tuple[float, float]]) -> float:
    """The share of the time from the first start to the last end that is in one of the spans."""
    total, reached = 0.0, min(start for start, _ in spans)
    first = reached
    for start, end in sorted(spans):
        total += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return total / (reached - first)
