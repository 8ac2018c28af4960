"""Proofs about trainings: bf16 learns as float32 does, and a killed training goes on as if nothing had happened."""

import os
import signal
import time
from collections.abc import Iterator
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from training import FRAMES, build_trainer

from dfdc.networks.precision import set_precision
from dfdc.stages.training.checkpoint import checkpoints
from dfdc.stages.training.loading import batches
from dfdc.stages.training.samples import Batch, PairDataset, Schedule
from dfdc.stages.training.trainer import RunSettings, TrainData, train
from gpu.bench import Bench
from gpu.rows import NO_GPU, Row, proof

# How far the mean loss of the later half may be from float32's, relatively. Dropout draws other masks in bf16, so that
# two such trainings are not the same even with exact arithmetic.
BAND = 0.05
# How far a loss of a resumed training may be from the same of an uninterrupted one, relatively. Deterministic kernels
# are chosen, so that a GPU should have 0, too; a few have no such variant.
RESUMED = {"cpu": 0.0, "cuda": 0.001}


def losses(bench: Bench) -> Iterator[Row]:
    """The losses of a training in bf16 and of one in float32, of both kinds of models, on the same batches."""
    for kind in FRAMES:
        loaded = _batches(bench, kind)
        found = {}
        for precision in ("fp32", "bf16"):
            settings = bench.settings(kind, iterations=len(loaded), precision=precision)
            trainer = build_trainer(settings, bench.device, (bench.sizes.crop.height, bench.sizes.crop.width))
            found[precision] = np.array([trainer.step(batch).tolist()[0] for batch in loaded])
        later = {precision: values[len(values) // 2 :].mean() for precision, values in found.items()}
        apart = abs(later["bf16"] / later["fp32"] - 1)
        what = f"{kind}: mean loss of the last {len(loaded) - len(loaded) // 2} of {len(loaded)} steps, bf16 from fp32"
        note = f"{later['bf16']:.4f} and {later['fp32']:.4f}; at most {BAND} apart is wanted"
        if bench.device.type == "cpu":
            note = f"{NO_GPU}, which computes both in fp32; {note}"
        yield proof(what, bool(np.isfinite(found["bf16"]).all()) and apart <= BAND, float(apart), note=note)
        farthest = float(np.abs(found["bf16"] / found["fp32"] - 1).max())
        yield Row(f"{kind}: the farthest single loss", farthest, note="relative")


def _workers(bench: Bench) -> int:
    """Few processes start fast; a single one is not worth its start."""
    return min(bench.processes, 8) if bench.processes > 1 else 0


def _batches(bench: Bench, kind: str) -> list[Batch]:
    """Batches from the real loader, with variants."""
    sizes, samples = bench.sizes, bench.samples(kind)
    dataset = PairDataset(bench.clips.rows, bench.clips.stores, samples, bench.clips.reader(), sizes.batch_pairs)
    schedule = Schedule(sizes.pairs, sizes.batch_pairs, samples.seed, 1, sizes.losses)
    return list(islice(batches(dataset, schedule, _workers(bench)), sizes.losses))


def resuming(bench: Bench) -> Iterator[Row]:
    """A training that is killed with SIGKILL and run again has the losses of one that was not."""
    whole = _train(bench, bench.folder / "whole")
    folder = bench.folder / "killed"
    process = get_context("spawn").Process(target=_train, args=(bench, folder, torch.get_num_threads()))
    process.start()
    while process.is_alive() and not checkpoints(folder):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    if process.exitcode != -signal.SIGKILL:
        raise RuntimeError(f"The training that was to be killed ended by itself, with exit code {process.exitcode}.")
    reached = int(checkpoints(folder)[0].stem.removeprefix("checkpoint_"))
    resumed = _train(bench, folder)
    apart = float(np.abs(resumed / whole - 1).max())
    wanted = RESUMED[bench.device.type]
    note = f"killed after iteration {reached} of {len(whole)}; at most {wanted} is wanted"
    yield proof("resumed: the farthest loss from an uninterrupted training", apart <= wanted, apart, note=note)


def _train(bench: Bench, folder: Path, threads: int | None = None) -> np.ndarray:
    """The losses of a short training; ``threads`` of torch, on which sums on a CPU depend."""
    if threads:
        torch.set_num_threads(threads)
    sizes = bench.sizes
    settings = bench.settings("frame", iterations=sizes.resumed)
    data = TrainData(bench.clips.rows, [], bench.clips.stores, None, bench.clips.variants)
    run = RunSettings(folder, [bench.device], _workers(bench), checkpoint_every=sizes.resumed // 3)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True
    with patch("dfdc.stages.training.trainer.set_precision", _without_trials):
        return np.array(train(data, settings, bench.samples("frame"), run).metrics["loss"])


def _without_trials(device: torch.device, precision: str) -> None:
    """The precision of a training, without the trials from which cuDNN may choose other kernels each time."""
    set_precision(device, precision)
    torch.backends.cudnn.benchmark = False
