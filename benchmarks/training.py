"""Speed of a training step in bfloat16, with and without compilation, compared with float32.

    python benchmarks/training.py [--rounds 5] [--steps 10] [--architecture efficientnet-b7] [--pairs 8]

A step is a complete step of the trainer: copy to the device, mixup, forward, backward, optimizer. Each round times all
variants one after the other; the table has medians over the rounds, and the median ratio within a round to float32 with
PyTorch's defaults (without TF32). Weights and images are random, which does not affect speed. What else a GPU
does, a training with its loader among it, is measured by `make bench-gpu`.

Without a GPU only float32 is timed, by default with a small network.
"""

import argparse
import platform
import statistics
import threading
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from settings import CONFIG, MODEL, published

from dfdc.networks.families import build_model
from dfdc.networks.precision import set_precision
from dfdc.stages.training.checkpoint import TrainingState
from dfdc.stages.training.distributed import Group
from dfdc.stages.training.samples import Batch
from dfdc.stages.training.settings import TrainSettings
from dfdc.stages.training.trainer import Trainer

# The frames that the published models of each kind take from a clip, and the size of their input.
FRAMES = {model["kind"]: tuple(model["frames"]) for model in CONFIG["models"].values()}
SIZE = (MODEL["crop"]["height"], MODEL["crop"]["width"])


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


def random_batch(kind: str, pairs: int, size: tuple[int, int]) -> Batch:
    rng = np.random.default_rng(0)
    frames = len(FRAMES[kind])
    real, fake = (torch.from_numpy(rng.integers(0, 256, (pairs * frames, *size, 3), np.uint8)) for _ in range(2))
    targets = torch.from_numpy(rng.beta(0.5, 0.5, pairs * frames).astype(np.float32))
    batch = Batch(1, list(range(pairs)), real, fake, targets, [None] * (pairs * frames), torch.zeros(0))
    return batch.pin_memory() if torch.cuda.is_available() else batch


def build_trainer(settings: TrainSettings, device: torch.device, size: tuple[int, int]) -> Trainer:
    """A trainer of a network with random weights, always the same."""
    set_precision(device, settings.precision)
    torch.manual_seed(0)
    model = build_model(settings.architecture, settings.kind, size, len(FRAMES[settings.kind])).to(device)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=True,
    )
    return Trainer(TrainingState(model, optimizer), settings, 0, Group(0, 1, device, threading.Event()))


class Steps:
    """Training steps of one variant, always on the same batch."""

    def __init__(
        self, variant: Variant, settings: TrainSettings, device: torch.device, size: tuple[int, int] = SIZE
    ) -> None:
        self.variant, self.device = variant, device
        settings = replace(settings, precision=variant.precision, compile=variant.compiled)
        self.trainer = build_trainer(settings, device, size)
        self.batch = random_batch(settings.kind, settings.batch_pairs, size)

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    gpu = torch.cuda.is_available()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10 if gpu else 1, help="per round and variant")
    parser.add_argument("--architecture", default="efficientnet-b7" if gpu else "efficientnet-b0")
    parser.add_argument("--pairs", type=int, default=8 if gpu else 2, help="per batch")
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


if __name__ == "__main__":
    main()
