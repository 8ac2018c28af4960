"""Memory and run time of `dfdc score` by video length, and the speed of preparing faces (needs a finished demo).

    python benchmarks/scoring.py [--seconds 10 40 120] [--demo demo] [--rounds 5]

The videos repeat one of the demo's, upscaled to 1280 x 720, with a face in every frame; the weights are the demo's.
Each video is scored by a separate call of the command. Memory is the peak over all its processes together, sampled 20
times per second: private pages (`RssAnon`), and all pages (`VmRSS`, which counts a shared library once per process).
Videos shorter than about 20 s do not fill the networks' batches and need less.

Faces are prepared for a network (decoded, resized, cropped) as the rule `score` does it, with 1 and 2 workers in turn:
medians of ROUNDS rounds. They are the demo's, upscaled to DFDC's size, with a camera's noise.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.store import Store
from dfdc.data.pictures.writing import write_store
from dfdc.networks.settings import CropPolicy
from dfdc.stages.prediction.scorer import AHEAD, prepared
from dfdc.system.workers.threads import map_ahead

ROOT = Path(__file__).resolve().parents[1]
SIDE = 400  # of a face, in pixels
PICTURES, REPETITIONS = 64, 16
CROP = CropPolicy(smaller_side=224, pad=False, height=224, width=192)


def make_video(source: Path, target: Path, seconds: int) -> None:
    """Loop a video up to the given length."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-stream_loop", "-1", "-i", str(source)]
    command += ["-t", str(seconds), "-r", "30", "-vf", "scale=1280:720", "-c:v", "libx264", "-preset", "veryfast"]
    subprocess.run([*command, str(target)], check=True)


def descendants(process: int) -> list[int]:
    """A process and all its descendants."""
    try:
        threads = Path(f"/proc/{process}/task").iterdir()
        children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:  # it has just ended
        return []
    return [process, *(number for child in children for number in descendants(child))]


def held(process: int, key: str) -> float:
    """Memory of a process in MB; ``key`` is a field of /proc/PID/status."""
    try:
        match = re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(match[1]) / 1024 if match else 0.0


def measure(video: Path, demo: Path) -> tuple[float, float, float]:
    """Peaks of private and of all pages in MB, and seconds."""
    command = [sys.executable, "-m", "dfdc", "score", str(video), "--weights", str(demo), "--config"]
    begun = time.monotonic()
    with subprocess.Popen([*command, str(ROOT / "profiles/demo/settings.yaml")], stdout=subprocess.DEVNULL) as process:
        private = every = 0.0
        while process.poll() is None:
            family = descendants(process.pid)
            private = max(private, sum(held(number, "RssAnon") for number in family))
            every = max(every, sum(held(number, "VmRSS") for number in family))
            time.sleep(0.05)
    if process.returncode:
        sys.exit(process.returncode)
    return private, every, time.monotonic() - begun


def write_faces(source: Path, target: Path) -> Store:
    """A store of faces as large as DFDC's."""
    faces = Store(source)
    rng = np.random.default_rng(0)

    def enlarged(clip: int) -> bytes:
        face = faces.read(clip % len(faces))[0]
        factor = SIDE / min(face.shape[:2])
        face = cv2.resize(face, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        return encode_png(np.clip(face + rng.normal(0, 2, face.shape), 0, 255).astype(np.uint8))

    write_store(target, ([enlarged(clip)] for clip in range(PICTURES)))
    return Store(target)


def prepare_faces(store: Store, workers: int) -> tuple[float, float]:
    """Pictures a core-second, and a second."""
    begun, used = time.perf_counter(), time.process_time()
    read = (store.clip(number % PICTURES) for number in range(PICTURES * REPETITIONS))
    count = sum(1 for _ in map_ahead(lambda unit: prepared(unit, CROP, flip=True), read, workers, AHEAD))
    return count / (time.process_time() - used), count / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", nargs="*", type=int, default=[10, 40, 120])
    parser.add_argument("--demo", type=Path, default=ROOT / "demo")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    source = max((options.demo / "data/test_videos").glob("*.mp4"), key=lambda path: path.stat().st_size)
    print("| workers | faces prepared a core-second | a second |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        store = write_faces(options.demo / "results/test/crops/0.arrow", Path(folder) / "faces.arrow")
        rates = [[prepare_faces(store, workers) for workers in (1, 2)] for _ in range(options.rounds)]
        for number, workers in enumerate((1, 2)):
            core, wall = (statistics.median(row[number][kind] for row in rates) for kind in (0, 1))
            print(f"| {workers} | {core:.0f} | {wall:.0f} |", flush=True)
        print("\n| video length | private pages, MB | all pages, MB | s |\n|---|---|---|---|", flush=True)
        for seconds in options.seconds:
            video = Path(folder) / f"{seconds}.mp4"
            make_video(source, video, seconds)
            private, every, took = measure(video, options.demo)
            print(f"| {seconds} s | {private:.0f} | {every:.0f} | {took:.0f} |", flush=True)


if __name__ == "__main__":
    main()
