"""Speed and memory of face detection in a training part, compared with the published implementation's approach.

    python benchmarks/detection.py [--videos 4] [--frames 300] [--rounds 3] [--workers N] [--side 1920]

The benchmark generates videos in DFDC's format (1080p, H.264 with AAC audio) from two people of the demo; the part
consists of copies of the two. Faces are detected in every sixth frame with YuNet and the demo's settings. The variants:

- video in memory: one process decodes all frames of a video into memory as RGB images, then detects faces in every
  sixth, one at a time; with one thread, and with the default numbers of threads of FFmpeg and OpenCV.
- ours: `dfdc.stages.faces.detection.detect.detect_faces` with one worker per core.
- decoding alone: the same workers only decode what detection decodes, without colour conversion. This is the upper
  limit for detection.
- decoding every frame: the same, but every frame is decoded.

Each round runs all variants one after the other, each in a new process, so that drifts of the machine's speed affect
all alike; the table has medians over the rounds, and the median ratio to the first variant within a round. Worker
startup is included. Core-seconds are the CPU time of all processes, including startup and imports; they are less
sensitive to other load on the machine. Memory is the peak of all processes together, estimated as that of the largest
worker for each.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np

from dfdc.data.seeding import generator
from dfdc.stages.faces.detection.detect import detect_faces
from dfdc.stages.faces.detection.detectors import build_detector
from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.system.workers.pool import map_in_order
from dfdc.video.counting import count_frames
from dfdc.video.reading import open_video, read_crops, read_frames

ROOT = Path(__file__).resolve().parents[1]
PEOPLE = ("woman", "man")
FPS = 29.97


# Worker processes import this module, so what only the main process needs is imported by the functions that use it.


def film(take: np.ndarray, count: int, size: tuple[int, int], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """A video of a person upscaled to ``size``, with a swaying camera and sensor noise."""
    width, height = size
    grain = cv2.GaussianBlur(rng.standard_normal((height + 64, width + 64), np.float32), (0, 0), 0.8)[..., None] * 6
    for index in range(count):
        place = index % max(2 * len(take) - 2, 1)  # forwards, then backwards
        frame = take[min(place, 2 * len(take) - 2 - place)]
        frame = cv2.resize(frame, (round(width * 1.06), round(height * 1.06)), interpolation=cv2.INTER_CUBIC)
        x, y = (round(0.03 * side * (1 + np.sin(index / pace))) for side, pace in ((width, 40), (height, 55)))
        left, top = rng.integers(0, 64, 2)
        noisy = frame[y : y + height, x : x + width] + grain[top : top + height, left : left + width]
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def make_part(folder: Path, videos: int, frames: int, side: int) -> None:
    from dfdc.demo.encoding import draw_sound, write_video
    from dfdc.demo.people import load_background
    from dfdc.demo.sources import fetch_sources

    folder.mkdir()
    sources = fetch_sources()
    size = (side, round(side * 9 / 32) * 2)
    for number in range(videos):
        path, first = folder / f"{number:03}.mp4", folder / f"{number % len(PEOPLE):03}.mp4"
        if path != first:
            shutil.copyfile(first, path)
            continue
        rng = generator(0, "benchmark", number)
        pictures = film(load_background(sources[PEOPLE[number]], frames), frames, size, rng)
        write_video(path, pictures, FPS, draw_sound(frames / FPS, rng), crf=26)


Found = list[tuple[str, int, list[float], float]]


def all_frames(path: Path, threads: int) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = ("SLICE", 1) if threads == 1 else ("AUTO", threads)
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


def video_in_memory(folder: Path, threads: int, settings: DetectionSettings) -> Found:
    faces = []
    detector = build_detector(settings, "cpu", 1)
    for path in sorted(folder.iterdir()):
        frames = all_frames(path, threads)
        for index in range(0, len(frames), settings.every):
            for *box, score in detector.detect([detector.prepare(frames[index])])[0].tolist():
                faces.append((path.name, index, box, score))
        del frames  # before the next video is read
    return faces


def one_thread(folder: Path, _: int, settings: DetectionSettings) -> Found:
    cv2.setNumThreads(1)
    return video_in_memory(folder, 1, settings)


def default_threads(folder: Path, _: int, settings: DetectionSettings) -> Found:
    return video_in_memory(folder, 0, settings)


def ours(folder: Path, workers: int, settings: DetectionSettings) -> Found:
    metadata = {path.name: {"label": "REAL"} for path in folder.iterdir()}
    detections, _ = detect_faces(folder, metadata, settings, 0.0, workers=workers)
    return [
        (faces.video, frame, box, score)
        for faces in detections
        for frame, box, score in zip(faces.frames.tolist(), faces.boxes.tolist(), faces.scores.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class Decoder:
    every: int  # decode only what every n-th frame depends on

    def prepare(self) -> Callable[[Path], int]:
        return self.decode

    def decode(self, path: Path) -> int:
        video = open_video(path)
        counted = count_frames(video)
        if self.every == 1 or counted is None:
            return sum(1 for _ in read_frames(video, wanted=lambda _: False))
        without_pixels = {index: () for index in range(0, counted, self.every)}
        return sum(1 for _ in read_crops(video, without_pixels, counted))


def decoding_alone(folder: Path, workers: int, settings: DetectionSettings) -> Found:
    decoder = Decoder(settings.every)
    list(map_in_order(decoder.prepare, sorted(folder.iterdir()), workers, None, lambda path, reason: 0))
    return []


def decoding_every_frame(folder: Path, workers: int, settings: DetectionSettings) -> Found:
    return decoding_alone(folder, workers, replace(settings, every=1))


VARIANTS = {
    "video in memory, one thread": one_thread,
    "video in memory, default threads": default_threads,
    "ours": ours,
    "decoding alone": decoding_alone,
    "decoding every frame": decoding_every_frame,
}


def measure(variant: str, folder: Path, workers: int) -> None:
    """Run a variant in this process and print time, memory and faces as JSON."""
    from settings import YUNET

    start = time.perf_counter()
    faces = VARIANTS[variant](folder, workers, YUNET)
    seconds = time.perf_counter() - start
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    core_seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    memory = (own.ru_maxrss + workers * children.ru_maxrss) / 1e6  # ru_maxrss is in kilobytes
    print(json.dumps({"seconds": seconds, "core_seconds": core_seconds, "memory": memory, "faces": faces}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--frames", type=int, default=300, help="per video")
    parser.add_argument("--side", type=int, default=1920, help="the frames' longer side in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="default: one per core")
    parser.add_argument("--measure", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.folder, options.workers)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "part"
        # In a separate process, because child processes inherit the peak memory of their parent.
        making = get_context("spawn").Process(
            target=make_part, args=(folder, options.videos, options.frames, options.side)
        )
        making.start()
        making.join()
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        print(f"{options.videos} videos of {options.frames} frames, longer side {options.side}, {size:.1f} MB in total")
        print(f"{options.workers} workers on {os.cpu_count()} cores; medians of {options.rounds} rounds\n")
        rounds: list[dict[str, dict]] = []
        for _ in range(options.rounds):
            rounds.append({})
            for variant in VARIANTS:
                command = [sys.executable, __file__, "--measure", variant, "--folder", str(folder)]
                command += ["--workers", str(options.workers)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rounds[-1][variant] = json.loads(done.stdout)
            if rounds[-1]["ours"]["faces"] != rounds[-1]["video in memory, one thread"]["faces"]:
                raise SystemExit("The variants found different faces: their times cannot be compared.")
    print("| variant | videos/s | ratio | core-seconds per video | memory, GB |\n|---|---|---|---|---|")
    first = next(iter(VARIANTS))
    for variant in VARIANTS:
        seconds, cores, memory = (
            statistics.median(row[variant][key] for row in rounds) for key in ("seconds", "core_seconds", "memory")
        )
        ratio = statistics.median(row[first]["seconds"] / row[variant]["seconds"] for row in rounds)
        rate, cores = options.videos / seconds, cores / options.videos
        print(f"| {variant} | {rate:.2f} | {ratio:.2f} | {cores:.2f} | {memory:.2f} |")


if __name__ == "__main__":
    main()
