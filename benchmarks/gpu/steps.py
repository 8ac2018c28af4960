"""The time of a training step of both kinds of models, and what it waits for."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from training import FRAMES, Steps, Variant

from gpu.bench import Bench
from gpu.machine import idle_share, peak_memory, synchronisations
from gpu.rows import NO_GPU, Row

WARM_UP = 3  # steps in which cuDNN tries its kernels


def steps(bench: Bench) -> Iterator[Row]:
    """Eager steps in float32 (without TF32) and in bf16, timed in turn."""
    for kind in FRAMES:
        timed = {}
        for precision in ("fp32", "bf16"):
            timed[precision] = _steps(bench, kind, Variant(precision, precision))
            memory = peak_memory(bench.device, lambda one=timed[precision]: one.seconds(WARM_UP))
            yield replace(memory, what=f"{kind}, {precision}: {memory.what}")
        rounds = [
            {name: one.seconds(bench.sizes.steps) for name, one in timed.items()} for _ in range(bench.sizes.rounds)
        ]
        for name in timed:
            yield _time_of_step(bench, kind, name, [seconds[name] for seconds in rounds])
        yield from _waits(bench, f"{kind}, bf16", timed["bf16"])


def compiled_steps(bench: Bench) -> Iterator[Row]:
    """Compiled steps in bf16: what compiling takes and gives."""
    for kind in FRAMES:
        name = f"{kind}, bf16, compiled"
        if bench.device.type != "cuda":
            yield Row(name, NO_GPU, note="a CPU never compiles (training.compile)")
            continue
        torch.compiler.reset()
        before = _graphs()
        start = time.perf_counter()
        one = _steps(bench, kind, Variant("bf16, compiled", "bf16", compiled=True))
        one.seconds(1)
        yield Row(f"{name}: until the first step is done", time.perf_counter() - start, "s", note="nothing in a cache")
        graphs = _graphs() - before
        memory = peak_memory(bench.device, lambda one=one: one.seconds(WARM_UP))
        yield replace(memory, what=f"{name}: {memory.what}")
        rounds = [one.seconds(bench.sizes.steps) for _ in range(bench.sizes.rounds)]
        yield _time_of_step(bench, kind, "bf16, compiled", rounds)
        yield Row(f"{name}: graphs", graphs, note="1 is the whole network")
        yield Row(f"{name}: recompilations after the first step", _graphs() - before - graphs)
        yield from _waits(bench, name, one)


def _steps(bench: Bench, kind: str, variant: Variant) -> Steps:
    crop = bench.sizes.crop
    return Steps(variant, bench.settings(kind), bench.device, (crop.height, crop.width))


def _time_of_step(bench: Bench, kind: str, name: str, seconds: list[float]) -> Row:
    each = statistics.median(seconds)
    images = bench.sizes.batch_pairs * len(FRAMES[kind])
    return Row(f"{kind}, {name}: a step", 1e3 * each, "ms", note=f"{images / each:.0f} images/s")


def _waits(bench: Bench, name: str, one: Steps) -> Iterator[Row]:
    def some_steps() -> None:
        for _ in range(bench.sizes.steps):
            one.trainer.step(one.batch)

    for row in (synchronisations(bench.device, some_steps, bench.sizes.steps), idle_share(bench.device, some_steps)):
        yield replace(row, what=f"{name}: {row.what}")


def _graphs() -> int:
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]
