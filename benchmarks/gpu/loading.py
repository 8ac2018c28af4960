"""The loader alone, and together with a training: how long the training waits for it.

The clips stay in the page cache, so that a disk's share of the time is not measured; what it has to deliver is told.
"""

import json
import statistics
import time
from collections.abc import Iterator

from dfdc.stages.training.loading import batches
from dfdc.stages.training.samples import PairDataset, Schedule
from dfdc.stages.training.trainer import RunSettings, TrainData, train
from gpu.bench import Bench
from gpu.rows import Row

WAYS = {"variants": True, "on the fly": False}


def loading(bench: Bench) -> Iterator[Row]:
    """With variants that were recompressed before, as the settings are, and with recompression on the fly."""
    for name, prepared in WAYS.items():
        rate = _alone(bench, prepared)
        yield Row(
            f"{name}: loader alone", rate, "pairs/s", note=f"{bench.processes} processes, clips in the page cache"
        )
    for name, prepared in WAYS.items():
        pairs, waits = _with_training(bench, prepared, name.replace(" ", "-"))
        yield Row(f"{name}: training, {bench.settings('frame').precision}", pairs, "pairs/s", note="frame model, eager")
        yield Row(f"{name}: share of the time that it waits for the loader", waits)


def _alone(bench: Bench, prepared: bool) -> float:
    """Pairs a second after the first batches, for which the processes had to start."""
    sizes, samples = bench.sizes, bench.samples("frame")
    reader = bench.clips.reader() if prepared else None
    dataset = PairDataset(bench.clips.rows, bench.clips.stores, samples, reader, sizes.batch_pairs)
    # Each process has a batch in work and keeps up to four: those are not counted.
    first = min(5 * bench.processes, sizes.loaded // 2)
    schedule = Schedule(sizes.pairs, sizes.batch_pairs, samples.seed, 1, first + sizes.loaded)
    ends = [time.perf_counter() for _ in batches(dataset, schedule, bench.processes)]
    return (len(ends) - first - 1) * sizes.batch_pairs / (ends[-1] - ends[first])


def _with_training(bench: Bench, prepared: bool, name: str) -> tuple[float, float]:
    """Pairs a second, and the share of the time spent waiting, in the second half of a training."""
    sizes = bench.sizes
    settings = bench.settings("frame", iterations=sizes.loaded)
    variants = bench.clips.variants if prepared else None
    data = TrainData(bench.clips.rows, [], bench.clips.stores, None, variants)
    run = RunSettings(bench.folder / f"training-{name}", [bench.device], bench.processes, checkpoint_every=sizes.loaded)
    train(data, settings, bench.samples("frame"), run)
    lines = [json.loads(line) for line in (run.folder / "speed.jsonl").read_text().splitlines()]
    later = lines[len(lines) // 2 :]
    # Of times, not of rates: a step that waits is as long as the others together.
    seconds = [sizes.batch_pairs / line["pairs_per_second"] for line in later]
    waited = sum(each * line["data_wait"] for each, line in zip(seconds, later, strict=True))
    return sizes.batch_pairs / statistics.mean(seconds), waited / sum(seconds)
