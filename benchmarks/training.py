"""Speed of a training step in bfloat16, with and without compilation, compared with float32; and of the data loader.

    python benchmarks/training.py [--rounds 5] [--steps 10] [--architecture efficientnet-b7] [--pairs 8] [--loader]

A step is a complete step of the trainer: copy to the device, mixup, forward, backward, optimizer. Each round times all
variants one after the other; the table has medians over the rounds, and the median ratio within a round to float32 with
PyTorch's defaults (without TF32). Weights and images are random, which does not affect speed. With ``--loader`` a
training on clips of real faces follows, with the published augmentation and recompression, and the fraction of time
spent waiting for data is printed.

Without a GPU only float32 is timed, by default with a small network.
"""

import argparse
import json
import platform
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from faces import make_pairs
from settings import published

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.pairs import Pair
from dfdc.networks.efficientnet import build_model
from dfdc.networks.precision import set_precision
from dfdc.networks.settings import CropPolicy
from dfdc.stages.training.augment.settings import AugmentSettings
from dfdc.stages.training.checkpoint import TrainingState
from dfdc.stages.training.distributed import Group
from dfdc.stages.training.samples import Batch, SampleSettings
from dfdc.stages.training.settings import TrainSettings
from dfdc.stages.training.trainer import RunSettings, TrainData, Trainer, train
from dfdc.video.settings import RecompressionSettings

FRAMES = {"frame": (9, 13, 17, 21, 25, 29, 33, 37), "sequence": (19, 21, 23, 25, 27, 29, 31)}
SIZE = (224, 192)


@dataclass(frozen=True)
class Variant:
    name: str
    precision: str
    compiled: bool = False


GPU_VARIANTS = (Variant("fp32", "fp32"), Variant("bf16", "bf16"), Variant("bf16, compiled", "bf16", compiled=True))
CPU_VARIANTS = (Variant("fp32", "fp32"),)


def settings_of(architecture: str, kind: str, pairs: int, iterations: int = 1000) -> TrainSettings:
    """The published settings without warm-up."""
    return published(
        TrainSettings,
        architecture=architecture,
        kind=kind,
        iterations=iterations,
        batch_pairs=pairs,
        warmup_iterations=0,
    )


def random_batch(kind: str, pairs: int) -> Batch:
    rng = np.random.default_rng(0)
    frames = len(FRAMES[kind])
    real, fake = (
        torch.from_numpy(rng.integers(0, 256, (pairs * frames, *SIZE, 3), np.uint8)) for _ in ("real", "fake")
    )
    targets = torch.from_numpy(rng.beta(0.5, 0.5, pairs * frames).astype(np.float32))
    batch = Batch(1, list(range(pairs)), real, fake, targets, [None] * (pairs * frames), torch.zeros(0))
    return batch.pin_memory() if torch.cuda.is_available() else batch


class Steps:
    """Training steps of one variant, always on the same batch."""

    def __init__(self, variant: Variant, settings: TrainSettings, device: torch.device) -> None:
        self.variant, self.device = variant, device
        settings = replace(settings, precision=variant.precision)
        torch.manual_seed(0)
        model = build_model(settings.architecture, settings.kind, SIZE, len(FRAMES[settings.kind])).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9, weight_decay=1e-4, nesterov=True)
        group = Group(0, 1, device, threading.Event())
        self.trainer = Trainer(TrainingState(model, optimizer), settings, 0, group, variant.compiled)
        self.batch = random_batch(settings.kind, settings.batch_pairs)

    def seconds(self, steps: int) -> float:
        """The mean time of a step."""
        set_precision(self.device, self.variant.precision)
        self._wait()
        start = time.perf_counter()
        for _ in range(steps):
            self.trainer.step(self.batch)
        self._wait()
        return (time.perf_counter() - start) / steps

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def compare(settings: TrainSettings, device: torch.device, steps: int, rounds: int) -> None:
    """Print a row per variant."""
    timed, memory = [], []
    for variant in GPU_VARIANTS if device.type == "cuda" else CPU_VARIANTS:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        timed.append(Steps(variant, settings, device))
        timed[-1].seconds(3)  # warms up; compiles
        memory.append((torch.cuda.max_memory_allocated() - before) / 2**30 if device.type == "cuda" else None)
    seconds = [[variant.seconds(steps) for variant in timed] for _ in range(rounds)]
    images = settings.batch_pairs * len(FRAMES[settings.kind])
    for number, variant in enumerate(timed):
        rate = statistics.median(images / row[number] for row in seconds)
        ratio = statistics.median(row[0] / row[number] for row in seconds)
        peak = "" if memory[number] is None else f"{memory[number]:.1f}"
        print(f"| {settings.kind} | {variant.variant.name} | {rate:.1f} | {ratio:.2f} | {peak} |", flush=True)


def train_on_clips(settings: TrainSettings, device: torch.device, workers: int, iterations: int) -> None:
    """Train on clips of real faces, and print the speed that the training has logged."""
    crop, augment = published(CropPolicy), published(AugmentSettings)
    samples = SampleSettings(
        settings.kind, FRAMES[settings.kind], False, crop, augment, published(RecompressionSettings), 0.5, 30
    )
    with tempfile.TemporaryDirectory() as folder:
        store, count = Path(folder, "part.arrow"), 2 * settings.batch_pairs
        clips = (clip for pair in make_pairs(count) for clip in pair)
        write_store(store, ([encode_png(frame) for frame in clip] for clip in clips))
        pairs = [Pair("part", "", str(n), 2 * n, 2 * n + 1, 50, "", "", 1.0) for n in range(count)]
        data = TrainData(pairs, [], {"part": store}, None)
        run = RunSettings(Path(folder, "run"), [device], workers, checkpoint_every=iterations)
        train(data, replace(settings, iterations=iterations), samples, run)
        lines = [json.loads(line) for line in Path(folder, "run", "speed.jsonl").read_text().splitlines()]
    later = lines[len(lines) // 2 :]  # without loader startup and kernel selection
    rate, wait = (statistics.median(line[key] for line in later) for key in ("images_per_second", "data_wait"))
    print(
        f"\nThe second half of a training of {iterations} iterations with {workers} loader processes: "
        f"{rate:.1f} images/s, {wait:.1%} of the time waiting for data."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    gpu = torch.cuda.is_available()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10 if gpu else 1, help="per round and variant")
    parser.add_argument("--architecture", default="efficientnet-b7" if gpu else "efficientnet-b0")
    parser.add_argument("--pairs", type=int, default=8 if gpu else 2, help="per batch")
    parser.add_argument("--loader", action="store_true", help="also run a training with its data loader")
    parser.add_argument("--workers", type=int, default=16, help="loader processes")
    parser.add_argument("--iterations", type=int, default=200, help="of the training with --loader")
    options = parser.parse_args()
    device = torch.device("cuda" if gpu else "cpu")
    where = torch.cuda.get_device_name() if gpu else f"CPU, {torch.get_num_threads()} threads"
    print(f"{where}; torch {torch.__version__}, Python {platform.python_version()}; medians of {options.rounds} rounds")
    if not gpu:
        print("No GPU found: the gains of bfloat16 and compilation on a GPU are not measured.")
    print(f"\n{options.architecture}, {options.pairs} pairs per batch, images of {SIZE[0]}x{SIZE[1]}")
    print("\n| model | variant | images/s | ratio | peak GiB |\n|---|---|---|---|---|")
    for kind in FRAMES:
        compare(settings_of(options.architecture, kind, options.pairs), device, options.steps, options.rounds)
    if options.loader:
        settings = settings_of(options.architecture, "frame", options.pairs)
        train_on_clips(settings, device, options.workers, options.iterations)


if __name__ == "__main__":
    main()
