"""Scaling of the data stages with the amount of data, and the cost of planning a run on all of DFDC.

    python benchmarks/scale.py [--folder scale] [--shares 1 2 4] [--cores all]

Generates a dataset with as many videos as DFDC (119,154 in 50 parts with metadata.json), whose videos are hard links to
36 tiny ones (48 x 48 pixels, at which YuNet still detects the face; 60 frames, H.264): the numbers of videos and the
sizes of tables are realistic, the costs of decoding and the sizes of clips are not. Then it

- plans a complete run on all videos and 4,000 or 40,000 test videos, which are holes of 4 MB (dry runs): core-seconds
  of the first plan, which reads the test videos, of later ones, and of those of a finished run, and what Snakemake
  takes to plan an empty Snakefile (--shares without numbers leaves it at that);
- runs the workflow up to results/pairs.parquet on a few percent of the videos, in parts of 2,384 (1 % is half a part,
  4 % are two), and prints core-seconds and peak memory of each stage, and bytes and files per 1,000 videos.

The folder is deleted before each run.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from csv import DictReader
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import cv2
import numpy as np
import yaml
from faces import TAKES

from dfdc.data.seeding import generator
from dfdc.demo.encoding import write_video
from dfdc.demo.fakes import draw_recipe, fake_frames
from dfdc.demo.motion import Shot
from dfdc.demo.people import load_footage, transform
from dfdc.demo.sources import fetch_sources
from dfdc.system.jobs.records.hashes import HASHES, SETTLED

ROOT = Path(__file__).resolve().parents[1]
VIDEOS, PARTS, FAKES = 119_154, 50, 5
PART = VIDEOS // PARTS + 1  # videos of a full part
SIDE, FRAMES, FPS, CRF = 48, 60, 30.0, 28
TEST_VIDEOS, TEST_SIZE = (4000, 40_000), 4_000_000
ROUNDS = 3
STAGES = ("detect_faces", "build_tracks", "align_tracks", "extract_clips", "pair_clips")


def make_families(folder: Path) -> list[list[Path]]:
    """Tiny videos: a real one and its fakes for each of several people."""
    files, families = fetch_sources(), []
    folder.mkdir(parents=True)
    for number, take in enumerate(TAKES):
        rng = generator(0, "tiny video", number)
        footage = load_footage(take, files)
        low, high = footage.landmarks[0, 0].min(0), footage.landmarks[0, 0].max(0)
        middle, scale = (low + high) / 2, SIDE / (3.0 * float((high - low).max()))
        frames, landmarks = [], []
        for index in range(FRAMES):
            matrix = cv2.getRotationMatrix2D(tuple(map(float, middle)), 0.0, scale)
            matrix[:, 2] += SIDE / 2 - middle + np.sin((index / 8, index / 9))
            step, size = index % len(footage.frames), (SIDE, SIDE)
            view = cv2.warpAffine(
                footage.frames[step], matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
            )
            frames.append(view)
            landmarks.append(transform(footage.landmarks[step], matrix))
        shot = Shot(frames, np.stack(landmarks), FPS)
        pictures = [frames]
        for _ in range(FAKES):
            pictures.append(fake_frames(shot, [None], [draw_recipe("self-blend", rng)], rng))
        family = [folder / f"{number}_{index}.mp4" for index in range(len(pictures))]
        for path, content in zip(family, pictures, strict=True):
            write_video(path, content, FPS, np.zeros(0, np.float32), CRF)
        families.append(family)
    return families


def make_data(root: Path, families: list[list[Path]], videos: int) -> None:
    """A dataset of ``videos`` training videos in parts as large as DFDC's, and one test video."""
    names = (f"{number:010}.mp4" for number in range(videos))
    left, part = videos, 0
    while left:
        folder, metadata = root / f"dfdc_train_part_{part}", {}
        folder.mkdir(parents=True)
        of_part = min(left, PART)
        for number in range(of_part):
            kind = number % (FAKES + 1)
            name = next(names)
            os.link(families[number // (FAKES + 1) % len(families)][kind], folder / name)
            if kind == 0:
                original = name
                metadata[name] = {"label": "REAL", "split": "train"}
            else:
                metadata[name] = {"label": "FAKE", "split": "train", "original": original}
        (folder / "metadata.json").write_text(json.dumps(metadata))
        left, part = left - of_part, part + 1
    (root / "test_videos").mkdir()
    os.link(families[0][0], root / "test_videos" / "test.mp4")


def make_test_videos(folder: Path, videos: int) -> None:
    """Files of the size of a video, without blocks on the disk: a plan looks at both ends."""
    folder.mkdir()
    for number in range(videos):
        with (folder / f"{number:010}.mp4").open("wb") as file:
            file.truncate(TEST_SIZE)


class Ran(NamedTuple):
    """What a run of Snakemake printed, and what it took."""

    text: str
    seconds: float
    core_seconds: float
    megabytes: float
    """The peak memory of the process."""


def run(command: list[str], work: Path) -> Ran:
    """Run a command, which has to succeed."""
    start = time.monotonic()
    with (work / "printed.txt").open("w") as printed:
        process = subprocess.Popen(command, cwd=ROOT, stdout=printed, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    seconds, text = time.monotonic() - start, (work / "printed.txt").read_text()
    if status:
        sys.exit(text)
    return Ran(text, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def snakemake(work: Path, data: Path, test_videos: str, *arguments: str) -> Ran:
    """Run Snakemake in a folder, which is made if it does not exist."""
    work.mkdir(parents=True, exist_ok=True)
    own, root = work / "own.yaml", data.resolve()
    demo = yaml.safe_load((ROOT / "profiles" / "demo" / "settings.yaml").read_text())
    changed = {section: demo[section] for section in ("detection", "tracking")}
    changed["data"] = {"root": str(root), "test_videos": str(root / test_videos)}
    own.write_text(yaml.safe_dump(changed))
    files = [str(ROOT / "benchmarks" / "scale.yaml"), str(own.resolve())]
    command = [sys.executable, "-m", "snakemake", "--directory", str(work), *arguments, "--configfile", *files]
    return run(command, work)


def print_plans(folder: Path, data: Path) -> None:
    """Print what it costs to plan a complete run, from the videos to the submission."""
    empty = folder / "empty"
    empty.mkdir()
    (empty / "Snakefile").write_text("rule all:\n    input: []\n")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "--directory", str(empty)]
    command += ["--snakefile", str(empty / "Snakefile")]
    own = median(run(command, empty).core_seconds for _ in range(ROUNDS))
    print(f"The plan of an empty Snakefile: {own:.1f} core-s, {ROUNDS} rounds each", flush=True)
    for videos in TEST_VIDEOS:
        make_test_videos(data / f"test_{videos}", videos)
    time.sleep(SETTLED)  # so long are new files looked at again
    print("\n| training videos | test videos | plan | jobs | core-s | peak MB |\n|---|---|---|---|---|---|")
    for videos in TEST_VIDEOS:
        work = folder / f"plan_{videos}"
        request = (work, data, f"test_{videos}", "submission.csv")
        print_row(videos, "first", [plan(*request, forgotten=True) for _ in range(ROUNDS)])
        print_row(videos, "later", [plan(*request) for _ in range(ROUNDS)])
        finish(work, snakemake(*request, "--dry-run").text)
        snakemake(*request, "--touch", "--forceall", "--cores", "1", "--quiet", "all")
        print_row(videos, "of a finished run", [plan(*request) for _ in range(ROUNDS)])


def plan(work: Path, *request: Any, forgotten: bool = False) -> Ran:
    """A dry run; ``forgotten``: without the hashes that earlier ones remembered."""
    if forgotten:
        (work / HASHES).unlink(missing_ok=True)
    return snakemake(work, *request, "--dry-run", "--quiet", "rules")


def print_row(videos: int, name: str, rounds: list[Ran]) -> None:
    """Print the medians of several plans."""
    jobs = re.search(r"^total +(\d+)$", rounds[0].text, re.MULTILINE)
    cores, megabytes = (median(getattr(one, key) for one in rounds) for key in ("core_seconds", "megabytes"))
    counted = f"{VIDEOS} | {videos} | {name} | {jobs[1] if jobs else 0}"
    print(f"| {counted} | {cores:.1f} | {megabytes:.0f} |", flush=True)


def finish(work: Path, plan: str) -> None:
    """Make empty files in place of all results that a plan lists."""
    for line in re.findall(r"^    output: (.*)$", plan, re.MULTILINE):
        for name in line.split(", "):
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).touch()


def measure(work: Path, data: Path, cores: str) -> tuple[float, dict[str, tuple[float, float]], float, int]:
    """Run the data stages; returns seconds, core-seconds and peak MB of each stage, and bytes and files written."""
    seconds = snakemake(work, data, "test_videos", "results/pairs.parquet", "--cores", cores, "--quiet", "all").seconds
    stages = {}
    for stage in STAGES:
        paths = [*(work / "benchmark" / stage).glob("*.tsv"), *(work / "benchmark").glob(f"{stage}.tsv")]
        rows = [next(DictReader(path.open(), delimiter="\t")) for path in paths]
        stages[stage] = (sum(float(row["cpu_time"]) for row in rows), max(float(row["max_rss"]) for row in rows))
    written = [path for path in work.rglob("*") if path.is_file()]
    return seconds, stages, sum(path.stat().st_size for path in written), len(written)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("scale"))
    parser.add_argument("--shares", type=float, nargs="*", default=[1, 2, 4], help="percent of the videos")
    parser.add_argument("--cores", default="all")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    families = make_families(options.folder / "families")
    sizes = [path.stat().st_size for family in families for path in family]
    print(f"{len(sizes)} tiny videos of {min(sizes)} to {max(sizes)} bytes", flush=True)
    make_data(options.folder / "full", families, VIDEOS)
    print_plans(options.folder, options.folder / "full")
    if not options.shares:
        return

    core_seconds = defaultdict(dict)
    print("\n| videos | stage | core-s | core-s per 1,000 videos | growth | peak MB |\n|---|---|---|---|---|---|")
    for share in options.shares:
        videos = round(VIDEOS * share / 100 / (FAKES + 1)) * (FAKES + 1)
        data = options.folder / f"data_{videos}"
        make_data(data, families, videos)
        seconds, stages, size, count = measure(options.folder / f"run_{videos}", data, options.cores)
        for stage, (cores, megabytes) in stages.items():
            rate = cores / videos * 1000
            core_seconds[stage][videos] = rate
            growth = rate / next(iter(core_seconds[stage].values()))
            print(f"| {videos} | {stage} | {cores:.1f} | {rate:.2f} | {growth:.2f} | {megabytes:.0f} |")
        per = 1000 / videos
        print(
            f"| {videos} | the run | {seconds:.0f} s | {videos / seconds:.1f} videos/s | "
            f"{size * per / 1e6:.1f} MB, {count * per:.0f} files per 1,000 videos | |",
            flush=True,
        )


if __name__ == "__main__":
    main()
