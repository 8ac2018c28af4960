"""Time for tracking and alignment of a training part of 2,400 videos on one core.

    python benchmarks/tracks.py [--rounds 3] [--videos 2400]

The detections are synthetic: 5 fakes for each real video, 50 sampled frames each, one or two drifting and jittering
faces, some missed detections and some false positives. The two jobs are timed from reading their tables to writing
them; the medians over the rounds are printed, step by step.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from settings import published

from dfdc.data.schemas.alignment import ALIGNED
from dfdc.data.schemas.detections import DETECTIONS, Faces, detected_faces, face_columns
from dfdc.data.schemas.tracks import TRACKS, track_columns, tracks_of
from dfdc.data.schemas.videos import VIDEOS, TrainingVideo
from dfdc.data.tables import read_rows, read_table, write_table
from dfdc.stages.faces.alignment import align_tracks
from dfdc.stages.faces.settings.alignment import AlignmentSettings
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.faces.tracking import track_video

FAKES = 5  # per real video
SAMPLED = 50  # sampled frames per video
EVERY = 6
SIZE = (1920, 1080)
MISSED = 0.03  # fraction of faces that are not detected
INVENTED = 0.02  # false positives per frame


def make_part(folder: Path, videos: int, seed: int = 0) -> int:
    """Write the tables of detections and of videos; returns the number of faces."""
    rng = np.random.default_rng(seed)
    rows, detections = [], []
    columns = ("ok", "", SAMPLED * EVERY, True, *SIZE, 29.97)
    for number in range(videos // (FAKES + 1)):
        real = f"video{number:05}_real.mp4"
        rows.append(TrainingVideo(real, *columns, "REAL", ""))
        paths = [_path(rng) for _ in range(1 if rng.random() < 0.8 else 2)]
        detections.append(_detections(real, paths, rng))
        for fake in range(FAKES):
            name = f"video{number:05}_fake{fake}.mp4"
            rows.append(TrainingVideo(name, *columns, "FAKE", real))
            detections.append(_detections(name, paths, rng))
    write_table(folder / "videos.parquet", VIDEOS, rows)
    write_table(folder / "detections.parquet", DETECTIONS, face_columns(detections))
    return sum(len(faces.frames) for faces in detections)


def _path(rng: np.random.Generator) -> np.ndarray:
    """The box of a face in each sampled frame, drifting by a few pixels per frame."""
    height = rng.uniform(120, 400)
    centre = rng.uniform((300, 250), (SIZE[0] - 300, SIZE[1] - 250)) + np.cumsum(rng.normal(0, 6, (SAMPLED, 2)), 0)
    half = np.array((0.38, 0.5)) * height
    return np.concatenate([centre - half, centre + half], axis=1)


def _detections(video: str, paths: list[np.ndarray], rng: np.random.Generator) -> Faces:
    """The detections of a video: noisy boxes on the paths, with misses and false positives."""
    frames, boxes, scores = [], [], []
    for sampled in range(SAMPLED):
        faces = [(path[sampled] + rng.normal(0, 3, 4), rng.uniform(0.85, 1)) for path in paths if rng.random() > MISSED]
        if rng.random() < INVENTED:
            corner = rng.uniform((0, 0), SIZE)
            faces.append((np.concatenate([corner, corner + 60]), rng.uniform(0.3, 0.6)))
        for box, score in sorted(faces, key=lambda face: -face[1]):
            frames.append(sampled * EVERY)
            boxes.append(box)
            scores.append(score)
    return Faces(video, np.array(frames, np.int32), np.array(boxes, np.float32), np.array(scores, np.float32))


class Stopwatch:
    """Core-seconds of named steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[step] = time.process_time() - start


def run(folder: Path) -> dict[str, float]:
    """Time the steps of the jobs build_tracks and align_tracks."""
    timed = Stopwatch()
    with timed("read detections"):
        detections = read_table(folder / "detections.parquet", DETECTIONS)
        videos = read_rows(folder / "videos.parquet", VIDEOS, TrainingVideo)
    with timed("build_tracks"):
        of_videos = detected_faces(detections, [video.video for video in videos])
        tracks = [
            track
            for video, faces in zip(videos, of_videos, strict=True)
            for track in track_video(faces, video.frames, EVERY, published(TrackerSettings))
        ]
    with timed("write tracks"):
        write_table(folder / "tracks.parquet", TRACKS, track_columns(tracks))
    with timed("read tracks"):
        tracks = tracks_of(read_table(folder / "tracks.parquet", TRACKS))
        videos = read_rows(folder / "videos.parquet", VIDEOS, TrainingVideo)
    with timed("align_tracks"):
        aligned = align_tracks(tracks, videos, published(AlignmentSettings))
    with timed("write aligned"):
        write_table(folder / "aligned.parquet", ALIGNED, aligned)
    return timed.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--videos", type=int, default=2400)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        faces = make_part(folder, options.videos)
        print(f"{options.videos} videos, {faces} faces; Python {platform.python_version()}, pyarrow {pa.__version__}")
        rounds = [run(folder) for _ in range(options.rounds)]
        tracks = read_table(folder / "tracks.parquet", TRACKS)
        aligned = read_table(folder / "aligned.parquet", ALIGNED)
        megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        print(f"{tracks.num_rows} boxes in tracks, {aligned.num_rows} aligned tracks; {megabytes:.1f} MB of tables")
    print("\n| step | core-seconds |\n|---|---|")
    for step in rounds[0]:
        print(f"| {step} | {statistics.median(seconds[step] for seconds in rounds):.2f} |")
    print(f"| all | {statistics.median(sum(seconds.values()) for seconds in rounds):.2f} |")


if __name__ == "__main__":
    main()
