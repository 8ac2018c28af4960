"""Face detection with DSFD: boxes in half precision against float32, and speed against decoding alone."""

import time
from collections.abc import Iterable, Iterator

import cv2
import torch
from detection import Decoder
from settings import CONFIG

from dfdc.demo.people import load_background
from dfdc.demo.sources import fetch_sources
from dfdc.networks.inference import inference_type
from dfdc.stages.faces.detection.batches import detect_in_batches
from dfdc.stages.faces.detection.dsfd.detector import DSFDDetector
from dfdc.stages.faces.detection.dsfd.folding import folded
from dfdc.stages.faces.detection.dsfd.inputs import network_input
from dfdc.system.workers.pool import map_in_order
from gpu.bench import Bench
from gpu.rows import NO_GPU, Row, proof

TRAIN = CONFIG["detection"]["train"]
PEOPLE = ("woman", "man")
FACES = 5  # cells of an image that count as a face, where the weights are random
# Weights at random have no faces to agree on, so a few boxes may be off.
WITHIN = 0.99


def detecting(bench: Bench) -> Iterator[Row]:
    """The proof, then images a second by the size of batches, then whole videos."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    rule, size = TRAIN["resize"], bench.sizes.detector
    dtype = inference_type(bench.device, TRAIN["precision"])
    detector = DSFDDetector(bench.detector_weights, rule, size, TRAIN["threshold"], bench.device, dtype=dtype)
    frames = _frames(bench)
    images = network_input([detector.prepare(frame).image for frame in frames], detector.multiple, bench.device)
    reference = _all_cells(detector, images, torch.float32)
    for dtype, name in ((torch.bfloat16, "bf16"), (torch.float16, "fp16")):
        if dtype == torch.float16 and bench.device.type == "cpu":
            yield Row("boxes in fp16 against fp32", NO_GPU)
            continue
        try:
            cells = _all_cells(detector, images, dtype)
        except FloatingPointError:
            yield Row(f"boxes in {name} against fp32", "overflow", note="the detector computes such a batch in fp32")
            continue
        yield from _compared(name, reference, cells)
    if bench.weights is None:
        # As many faces as usual, or suppressing would take most of the time.
        detector.threshold = float(reference[1].sort(descending=True).values[FACES * len(images)])
    yield from _rates(bench, detector, frames)
    yield from _against_decoding(bench, detector)


def _frames(bench: Bench) -> list:
    sources = fetch_sources()
    size = (bench.sizes.video_side, round(bench.sizes.video_side * 9 / 32) * 2)
    return [cv2.resize(load_background(sources[person], 20)[-1], size) for person in PEOPLE]


@torch.inference_mode()
def _all_cells(detector: DSFDDetector, images: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """The box, in pixels of the input, and the score of every cell, before any is left out."""
    height, width = images.shape[-2:]
    network = detector.networks[torch.float32]
    if dtype != torch.float32:
        network = folded(network, dtype)
    _, boxes, scores = network(images.to(dtype), -1.0)
    return boxes * torch.tensor([width, height, width, height], device=boxes.device), scores


def _compared(name: str, reference: tuple, other: tuple) -> Iterator[Row]:
    kept = [scores > TRAIN["threshold"] for _, scores in (reference, other)]
    both = kept[0] & kept[1]
    off = (reference[0] - other[0]).abs().amax(1)[both]
    near = float((off < 1).float().mean())
    note = f"of {int(both.sum())} that both keep; at least {WITHIN:.0%} are wanted"
    yield proof(f"boxes in {name} less than a pixel from fp32's", near >= WITHIN, near, note=note)
    yield Row(f"farthest box in {name}", float(off.max()), "px of the input")
    alone = int((kept[0] != kept[1]).sum())
    yield Row(f"boxes that only one of fp32 and {name} keeps", alone / int(kept[0].sum()))


def _rates(bench: Bench, detector: DSFDDetector, frames: list) -> Iterator[Row]:
    prepared = [detector.prepare(frame) for frame in frames]
    for size in bench.sizes.detector_batches:
        detector.batch_size = size
        batch = [prepared[number % len(prepared)] for number in range(size)]
        times = max(64 // size, 1) if bench.device.type == "cuda" else 1
        detector.detect(batch)
        start = time.perf_counter()
        for _ in range(times):
            detector.detect(batch)
        rate = times * size / (time.perf_counter() - start)
        yield Row(f"DSFD, batches of {size}", rate, "images/s", note="from resized frames to boxes")


def _against_decoding(bench: Bench, detector: DSFDDetector) -> Iterator[Row]:
    videos, processes = sorted(bench.videos.iterdir()), bench.processes
    detector.batch_size = max(bench.sizes.detector_batches[-2], 1)
    decoded = _videos_per_second(
        map_in_order(Decoder(TRAIN["every"]).prepare, videos, processes, None, lambda path, reason: 0)
    )
    yield Row(
        "decoding alone", decoded, "videos/s", note=f"{processes} processes, {bench.sizes.video_frames} frames each"
    )
    found = detect_in_batches(videos, detector, TRAIN["every"], None, processes, detector.batch_size, None)
    detected = _videos_per_second(found)
    yield Row("decoding and DSFD", detected, "videos/s", note=f"every {TRAIN['every']}th frame")
    yield Row("share of the speed of decoding alone", detected / decoded)


def _videos_per_second(results: Iterable) -> float:
    """Of all results but the first, for which the processes had to start."""
    ends = [time.perf_counter() for _ in results]
    return (len(ends) - 1) / (ends[-1] - ends[0])
