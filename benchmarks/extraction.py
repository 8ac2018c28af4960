"""Core-seconds per pair of clips: the project's clip extraction compared with the published approach.

    python benchmarks/extraction.py [--rounds 3] [--videos 1]

The benchmark encodes real videos and five fakes of each (1920 x 1080, 300 frames, H.264) from the demo's faces. The
project cuts all clips of a video in one pass and writes them to a store. The published approach opens both videos of a
pair with OpenCV, decodes them from the first frame to the end of the window, crops, and writes a PNG file per frame. It
is timed twice: reading every frame, and grabbing (decoding without conversion) those before the window. All variants
cut the same frames and boxes, one after the other in each round. Printed are the medians over the rounds, the medians
of the ratios within rounds, the project's decoding alone, which bounds the ratio, and the costs of single steps.
"""

import argparse
import resource
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from faces import TAKES
from settings import published

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.store import Store
from dfdc.data.schemas.alignment import AlignedTrack
from dfdc.data.schemas.videos import TrainingVideo
from dfdc.data.seeding import generator
from dfdc.demo.encoding import write_video
from dfdc.demo.fakes import draw_recipe, fake_frames
from dfdc.demo.motion import Shot
from dfdc.demo.people import load_footage, transform
from dfdc.demo.sources import fetch_sources
from dfdc.stages.clips.cutting import extract_clips
from dfdc.stages.clips.settings.cutting import ClipSettings
from dfdc.stages.clips.windows import choose_windows
from dfdc.video.reading import open_video, read_crops, read_frames

WIDTH, HEIGHT, FRAMES, FPS, CRF = 1920, 1080, 300, 29.97, 23
EVERY, FAKES = 6, 5
FACE = 250  # height of a face in pixels
SETTINGS = published(ClipSettings)


def make_family(folder: Path, number: int) -> list[AlignedTrack]:
    """Write a real video and its fakes; returns the rows of their aligned tracks."""
    rng = generator(0, "benchmark video", number)
    shot = _film(number, rng)
    boxes = _boxes(shot)
    real = f"real{number}.mp4"
    silence = np.zeros(0, np.float32)
    write_video(folder / real, shot.frames, FPS, silence, CRF)
    rows = []
    for index in range(FAKES):
        fake = f"fake{number}_{index}.mp4"
        frames = fake_frames(shot, [None], [draw_recipe("self-blend", rng)], rng)
        write_video(folder / fake, frames, FPS, silence, CRF)
        sampled = list(range(0, FRAMES, EVERY))
        rows.append(AlignedTrack(real, fake, "aligned", "", 0, 0, sampled, boxes, boxes))
    return rows


def _film(number: int, rng: np.random.Generator) -> Shot:
    """A swaying picture of a person, with sensor noise."""
    footage = load_footage(TAKES[number % len(TAKES)], fetch_sources())
    low, high = footage.landmarks[0, 0].min(0), footage.landmarks[0, 0].max(0)
    scale = FACE / (2.6 * float((high - low)[1]))
    phase = rng.uniform(0, 2 * np.pi, 3)
    # Drawn once and shifted for each frame, because independent noise per frame would take minutes.
    noise = rng.normal(0, 2, (HEIGHT + 64, WIDTH + 64, 1)).astype(np.int16)
    frames, landmarks = [], []
    for index in range(FRAMES):
        sway = np.sin(2 * np.pi * index / FPS * np.array((0.25, 0.2, 0.15)) + phase)
        matrix = cv2.getRotationMatrix2D(tuple(map(float, (low + high) / 2)), float(sway[2]), scale)
        matrix[:, 2] += (WIDTH / 2, HEIGHT / 2) - (low + high) / 2 + sway[:2] * 20
        step = index % len(footage.frames)
        flags, border = cv2.INTER_LINEAR, cv2.BORDER_REFLECT
        view = cv2.warpAffine(footage.frames[step], matrix, (WIDTH, HEIGHT), flags=flags, borderMode=border)
        x, y = rng.integers(0, 64, 2)
        frames.append(np.clip(view + noise[y : y + HEIGHT, x : x + WIDTH], 0, 255).astype(np.uint8))
        landmarks.append(transform(footage.landmarks[step], matrix))
    return Shot(frames, np.stack(landmarks), FPS)


def _boxes(shot: Shot) -> list[list[float]]:
    """The face in each sampled frame, from its landmarks."""
    centres = shot.landmarks[::EVERY, 0].mean(1)
    half = np.array((0.4, 0.5)) * FACE
    return np.concatenate([centres - half, centres + half], axis=1).tolist()


def published(folder: Path, aligned: list[AlignedTrack], target: Path, grab: bool) -> None:
    """A folder of PNG files for each clip, pair by pair."""
    shutil.rmtree(target, ignore_errors=True)
    for row in aligned:
        ((first, (x1, y1, x2, y2)),) = choose_windows(row, SETTINGS, EVERY, WIDTH, HEIGHT)
        for video in (row.real, row.fake):
            clip = target / f"{Path(row.fake).stem}-{Path(video).stem}"
            clip.mkdir(parents=True)
            capture = cv2.VideoCapture(str(folder / video))
            for index in range(first + SETTINGS.frames):
                if grab and index < first:
                    capture.grab()
                    continue
                read, frame = capture.read()
                if not read:
                    break
                if index >= first:
                    cv2.imwrite(str(clip / f"{index - first:03}.png"), frame[y1:y2, x1:x2])
            capture.release()


def ours(folder: Path, aligned: list[AlignedTrack], target: Path) -> None:
    """A store of all clips, video by video."""
    names = {name for row in aligned for name in (row.real, row.fake)}
    videos = {name: TrainingVideo(name, "ok", "", FRAMES, True, WIDTH, HEIGHT) for name in names}
    rows = extract_clips(folder, aligned, videos, target, SETTINGS, EVERY, max_unreadable=0)
    if any(row.status != "ok" for row in rows):
        raise RuntimeError("not all clips were cut")


def core_seconds(work: Callable[[], object]) -> float:
    """User and system CPU time of this process and its children."""

    def now() -> float:
        usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    start = now()
    work()
    return now() - start


def print_parts(folder: Path, aligned: list[AlignedTrack], store: Path) -> None:
    """Print the costs of decoding, colour conversion and PNG encoding."""
    video, pictures = folder / aligned[0].real, Store(store).read(0)
    parts = {
        "decode 300 frames": lambda: list(read_frames(open_video(video), wanted=lambda _: False)),
        "decode 300 frames, 50 of them to RGB": lambda: list(read_frames(open_video(video), wanted=lambda n: n < 50)),
        "50 faces to PNG": lambda: [encode_png(picture) for picture in pictures],
        "50 faces to PNG as cv2.imwrite does": lambda: [cv2.imencode(".png", picture) for picture in pictures],
    }
    print("\n| part | core-seconds |\n|---|---|")
    for name, work in parts.items():
        print(f"| {name} | {statistics.median(core_seconds(work) for _ in range(5)):.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--videos", type=int, default=1, help="real videos, with five fakes each")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with TemporaryDirectory() as name:
        folder, store = Path(name), Path(name, "clips.arrow")
        aligned = [row for number in range(options.videos) for row in make_family(folder, number)]
        megabytes = sum(path.stat().st_size for path in folder.glob("*.mp4")) / len(aligned) / (1 + 1 / FAKES) / 1e6
        print(f"{options.videos} real videos and {len(aligned)} fakes, {megabytes:.1f} MB each on average")
        target = folder / "published"
        ways = {
            "published, reading every frame": lambda: published(folder, aligned, target, grab=False),
            "published, grabbing to the window": lambda: published(folder, aligned, target, grab=True),
            "this project": lambda: ours(folder, aligned, store),
        }
        rounds = [[core_seconds(way) / len(aligned) for way in ways.values()] for _ in range(options.rounds)]
        check(store, target, aligned)
        megabytes = [sum(path.stat().st_size for path in target.rglob("*.png")) / len(aligned) / 1e6] * 2
        megabytes += [store.stat().st_size / len(aligned) / 1e6]
        print("\n| | core-seconds per pair | ratio to this project | MB per pair |\n|---|---|---|---|")
        for column, name in enumerate(ways):
            seconds = statistics.median(times[column] for times in rounds)
            ratio = statistics.median(times[column] / times[-1] for times in rounds)
            print(f"| {name} | {seconds:.2f} | {ratio:.2f} | {megabytes[column]:.1f} |")
        alone = statistics.median(core_seconds(lambda: decode(folder, aligned)) for _ in range(options.rounds))
        print(f"\nDecoding alone what the project's clips depend on: {alone / len(aligned):.2f} core-seconds per pair")
        print_parts(folder, aligned, store)


def decode(folder: Path, aligned: list[AlignedTrack]) -> None:
    """What ``ours`` decodes, without cutting anything."""
    wanted: dict[str, set[int]] = {}
    for row in aligned:
        ((first, _),) = choose_windows(row, SETTINGS, EVERY, WIDTH, HEIGHT)
        for video in (row.real, row.fake):
            wanted.setdefault(video, set()).update(range(first, first + SETTINGS.frames))
    for video, frames in wanted.items():
        for _ in read_crops(open_video(folder / video), {frame: [] for frame in sorted(frames)}, FRAMES):
            pass


def check(store: Path, target: Path, aligned: list[AlignedTrack]) -> None:
    """Raise RuntimeError if the clips of the two approaches differ in number, size or content."""
    cut, last = Store(store), target / f"{Path(aligned[0].fake).stem}-{Path(aligned[0].real).stem}"
    files = sorted(last.iterdir())
    own, other = cut.read(0)[-1], cv2.cvtColor(cv2.imread(str(files[-1])), cv2.COLOR_BGR2RGB)
    # FFmpeg and OpenCV's build of it may round colours slightly differently.
    if len(cut) != 2 * len(aligned) or own.shape != other.shape or np.abs(own.astype(int) - other).mean() > 2:
        raise RuntimeError("the two approaches have cut different clips")


if __name__ == "__main__":
    main()
