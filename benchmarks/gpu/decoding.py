"""Decoding by the GPU's own decoder (NVDEC) through PyAV."""

import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.codec.hwaccel import HWAccel

from gpu.bench import Bench
from gpu.rows import NO_GPU, Row


def decoding(bench: Bench) -> Iterator[Row]:
    """Frames a second of one process, in software and by the card, and whether the pictures are the same."""
    video = min(bench.videos.iterdir())
    rate, picture = _decoded(video, None)
    yield Row("software, one thread", rate, "frames/s")
    if bench.device.type != "cuda":
        yield Row("NVDEC", NO_GPU)
        return
    try:
        _decoded(video, HWAccel("cuda", allow_software_fallback=False))  # starts the decoder
        rate, of_card = _decoded(video, HWAccel("cuda", allow_software_fallback=False))
    except Exception as error:  # of many kinds, by what is missing: the library, the driver, the codec
        yield Row("NVDEC", "not available", note=f"{type(error).__name__}: {error}")
        return
    yield Row("NVDEC", rate, "frames/s", note="one process, frames copied to the CPU")
    apart = int(np.abs(picture.astype(int) - of_card).max())
    yield Row("NVDEC: largest difference of a pixel", apart, "of 255", note="RGB of the last frame")


def _decoded(video: Path, accelerator: HWAccel | None) -> tuple[float, np.ndarray]:
    """Frames a second, and the last frame in RGB."""
    with av.open(str(video), hwaccel=accelerator) as container:
        stream = container.streams.video[0]
        if accelerator is None:
            stream.thread_type, stream.thread_count = "SLICE", 1
        start, count = time.perf_counter(), 0
        for count, frame in enumerate(container.decode(stream), 1):  # noqa: B007 (the last is what is left)
            pass
        rate = count / (time.perf_counter() - start)
        return rate, frame.to_ndarray(format="rgb24")
