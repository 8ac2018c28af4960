"""Memory and run time of `dfdc score` by video length (needs a finished demo).

    python benchmarks/scoring.py [--seconds 10 40 120] [--demo demo]

The videos repeat one of the demo's, upscaled to 1280 x 720, with a face in every frame; the weights are the demo's.
Each video is scored by a separate call of the command. Memory is the peak over all its processes together, sampled 20
times per second: private pages (`RssAnon`), and all pages (`VmRSS`, which counts a shared library once per process).
Videos shorter than about 20 s do not fill the networks' batches and need less.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg

ROOT = Path(__file__).resolve().parents[1]


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", nargs="+", type=int, default=[10, 40, 120])
    parser.add_argument("--demo", type=Path, default=ROOT / "demo")
    options = parser.parse_args()
    source = max((options.demo / "data/test_videos").glob("*.mp4"), key=lambda path: path.stat().st_size)
    print("| video length | private pages, MB | all pages, MB | s |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for seconds in options.seconds:
            video = Path(folder) / f"{seconds}.mp4"
            make_video(source, video, seconds)
            private, every, took = measure(video, options.demo)
            print(f"| {seconds} s | {private:.0f} | {every:.0f} | {took:.0f} |", flush=True)


if __name__ == "__main__":
    main()
