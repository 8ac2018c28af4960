"""Reading 8 pictures of a random clip out of 2,000: from a store, and from folders of PNG files.

    python benchmarks/stores.py [--rounds 9] [--clips 2000] [--reads 300]

This compares the layouts on disk: the pictures are the same, ten per clip, and small (96 x 96) so that decoding does
not dominate. All data are in the page cache, so that reading costs only CPU time, which is what is measured. Each round
reads the same random clips in all ways. The store is read in two ways: opened for each clip, and opened once, as in
training. Medians over the rounds are printed.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from faces import make_pairs

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.store import Store
from dfdc.data.pictures.writing import write_store

LENGTH, WANTED, SIDE = 10, 8, 96


def make_clips(count: int) -> list[list[bytes]]:
    """Clips of PNG files, from a few hundred different pictures."""
    frames = [frame for pair in make_pairs(2) for clip in pair for frame in clip]
    size = (SIDE, SIDE)
    pictures = [encode_png(cv2.resize(frame, size, interpolation=cv2.INTER_AREA)) for frame in frames]
    return [[pictures[(7 * clip + index) % len(pictures)] for index in range(LENGTH)] for clip in range(count)]


def write_folders(root: Path, clips: list[list[bytes]]) -> None:
    for number, pictures in enumerate(clips):
        folder = root / f"{number:05}"
        folder.mkdir(parents=True)
        for index, data in enumerate(pictures):
            (folder / f"{index:03}.png").write_bytes(data)


def read_files(root: Path, clip: int, wanted: list[int]) -> list[np.ndarray]:
    folder = root / f"{clip:05}"
    return [cv2.cvtColor(cv2.imread(str(folder / f"{index:03}.png")), cv2.COLOR_BGR2RGB) for index in wanted]


def milliseconds(read: Callable[[int, list[int]], list[np.ndarray]], choices: list[tuple[int, list[int]]]) -> float:
    """CPU time (user and system) per clip, in milliseconds."""
    start = time.process_time()
    for clip, wanted in choices:
        read(clip, wanted)
    return (time.process_time() - start) / len(choices) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--reads", type=int, default=300, help="clips read per round")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as name:
        root, path = Path(name, "folders"), Path(name, "part.arrow")
        clips = make_clips(options.clips)
        write_folders(root, clips)
        write_store(path, clips)
        opened = Store(path)
        ways = {
            "folders of PNG files": lambda clip, wanted: read_files(root, clip, wanted),
            "store, opened for each clip": lambda clip, wanted: Store(path).read(clip, wanted),
            "store, opened once": opened.read,
        }
        for clip in range(options.clips):  # warms up the page cache, and checks that both hold the same
            if any((a != b).any() for a, b in zip(read_files(root, clip, [0]), opened.read(clip, [0]), strict=True)):
                raise RuntimeError(f"clip {clip} differs")
        rounds = []
        for _ in range(options.rounds):
            chosen = rng.integers(0, options.clips, options.reads)
            choices = [(int(clip), sorted(map(int, rng.choice(LENGTH, WANTED, replace=False)))) for clip in chosen]
            rounds.append([milliseconds(read, choices) for read in ways.values()])
    kilobytes = sum(map(len, clips[0])) / LENGTH / 1000
    print(f"{options.clips} clips of {LENGTH} pictures of {kilobytes:.1f} kB; {WANTED} are read per clip")
    print("\n| | core-ms per clip | ratio to folders |\n|---|---|---|")
    for column, way in enumerate(ways):
        time_of = statistics.median(row[column] for row in rounds)
        print(f"| {way} | {time_of:.2f} | {statistics.median(row[column] / row[0] for row in rounds):.2f} |")


if __name__ == "__main__":
    main()
