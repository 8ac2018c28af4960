"""Images per second of the networks: batches and bfloat16 compared with batch size 1 and float32.

    python benchmarks/networks.py [--rounds 5] [--batch N]

The weights are random, which does not affect speed. In bfloat16 DSFD is a copy with its batch norms folded in, the
others run under autocast. Each round times all variants of a network one after the other, so that drifts of the
machine's speed affect all alike; the table has medians over the rounds, and the median ratio to the first variant
within a round. Float32 on a GPU is without TF32.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch

from dfdc.networks.families import build_model
from dfdc.stages.faces.detection.dsfd.folding import folded
from dfdc.stages.faces.detection.dsfd.network import DSFD

Variant = tuple[str, int, torch.dtype]  # name, batch size, precision
Run = Callable[[torch.Tensor, torch.dtype], object]


def variants(device: str, batch: int) -> list[Variant]:
    return [
        ("one at a time, fp32", 1, torch.float32),
        (f"batches of {batch}, fp32", batch, torch.float32),
        ("one at a time, bf16", 1, torch.bfloat16),
        (f"batches of {batch}, bf16", batch, torch.bfloat16),
    ]


def images_per_second(run: Run, images: torch.Tensor, at_a_time: int, dtype: torch.dtype) -> float:
    with torch.inference_mode():
        start = time.perf_counter()
        for batch in images.split(at_a_time):
            run(batch, dtype)
        if images.device.type == "cuda":
            torch.cuda.synchronize()
        return len(images) / (time.perf_counter() - start)


def compare(title: str, run: Run, images: torch.Tensor, unit: int, batch: int, rounds: int) -> None:
    """Print a row per variant; ``unit`` is the number of images that belong together (a window)."""
    chosen = variants(images.device.type, batch)
    rates: list[list[float]] = []
    for round_number in range(rounds + 1):
        row = [images_per_second(run, images, at_a_time * unit, dtype) for _, at_a_time, dtype in chosen]
        if round_number:  # the first is a warm-up
            rates.append(row)
    for number, (name, _, _) in enumerate(chosen):
        rate = statistics.median(row[number] for row in rates)
        ratio = statistics.median(row[number] / row[0] for row in rates)
        print(f"| {title} | {name} | {rate:.1f} | {ratio:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, help="images (or windows) at a time; default 16 on a GPU, 4 on a CPU")
    parser.add_argument("--threads", type=int, help="threads of torch on a CPU; default all cores")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batch = options.batch or (16 if device == "cuda" else 4)
    count = 4 * batch if device == "cuda" else batch
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)

    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{where}; torch {torch.__version__}, Python {platform.python_version()}; medians of {options.rounds} rounds")
    if device == "cpu":
        print("No GPU found: the gains of batches and bfloat16 on a GPU are not measured.")
    print("\n| network | variant | images/s | ratio |\n|---|---|---|---|")

    detector = DSFD().eval().to(device, memory_format=torch.channels_last)
    frames = torch.randn(count, 3, 384, 683, device=device).contiguous(memory_format=torch.channels_last)
    # With random weights there are faces everywhere; a threshold of 1 leaves only the cost of the network.
    detectors = {torch.float32: detector, torch.bfloat16: folded(detector, torch.bfloat16)}
    compare(
        "DSFD, 683x384",
        lambda images, dtype: detectors[dtype](images.to(dtype), 1.0),
        frames,
        1,
        batch,
        options.rounds,
    )
    for kind, unit in (("frame", 1), ("sequence", 7)):
        model = build_model("efficientnet-b7", kind, (224, 192)).eval().to(device)
        faces = torch.randn(count * unit, 3, 224, 192, device=device)

        def classify(images: torch.Tensor, dtype: torch.dtype, model: torch.nn.Module = model) -> None:
            with torch.autocast(device, dtype, enabled=dtype != torch.float32):
                model(images)

        compare(f"B7 {kind}, 224x192", classify, faces, unit, batch, options.rounds)


if __name__ == "__main__":
    main()
