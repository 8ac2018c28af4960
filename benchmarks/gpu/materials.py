"""Clips, videos and weights that the other sections read, made on all cores."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from clips import encoded
from detection import make_part
from faces import make_pair
from settings import published

from dfdc.demo.sources import fetch_sources
from dfdc.video.settings import RecompressionSettings
from dsfd import seeded_state
from gpu.bench import Bench
from gpu.rows import Row


def _clips_of(number: int) -> list[list[bytes]]:
    return encoded(make_pair(number))


def materials(bench: Bench) -> Iterator[Row]:
    """Make everything in the folder of the benchmark."""
    sizes, start = bench.sizes, time.perf_counter()
    fetch_sources()  # before there are many processes that would
    with ProcessPoolExecutor(bench.processes, get_context("spawn")) as processes:
        filming = processes.submit(
            make_part, bench.folder / "film", videos=1, frames=sizes.video_frames, side=sizes.video_side
        )
        bench.clips.write(processes.map(_clips_of, range(sizes.pairs)))
        filming.result()
    recompression, seed = published(RecompressionSettings), 0
    encoding = time.perf_counter()
    bench.clips.recompress(recompression, sizes.variants, seed, bench.processes)
    taken = bench.processes * (time.perf_counter() - encoding)
    bench.videos.mkdir()
    videos = max(sizes.videos * bench.processes, 2)
    (film,) = (bench.folder / "film").iterdir()
    for number in range(videos):
        shutil.copyfile(film, bench.videos / f"{number:04}.mp4")
    if bench.weights is None:
        torch.save(seeded_state(), bench.detector_weights)
    clips, streams = (places["part"].stat().st_size for places in (bench.clips.stores, bench.clips.variants[1]))
    yield Row("pairs of clips", sizes.pairs, note=f"{clips / sizes.pairs / 1e6:.1f} MB each")
    each = sizes.pairs * sizes.variants
    yield Row("a variant of a pair encoded", taken / each, "s of a process", note=f"{streams / each / 1e6:.2f} MB each")
    yield Row("videos", videos, note=f"copies of one, {film.stat().st_size / 1e6:.1f} MB")
    yield Row("weights of DSFD", str(bench.weights) if bench.weights else "drawn at random")
    yield Row("all made in", time.perf_counter() - start, "s")
