"""Cutting clips: the same box and the same frames from a real video and from its fake."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfdc.data.png import encode_png
from dfdc.data.store import write_store
from dfdc.seeding import generator
from dfdc.stages.clips.differences import SIGNATURE, Comparison, signature
from dfdc.stages.clips.settings.cutting import ClipSettings
from dfdc.system.errors import VideoError
from dfdc.system.pool import map_in_order
from dfdc.system.progress import progress
from dfdc.video.boxes import Box, enlarged
from dfdc.video.reading import check_readable, counted_frames, open_video, read_crops


def choose_window(
    aligned: Mapping[str, Any], settings: ClipSettings, every: int, width: int, height: int
) -> tuple[int, Box] | None:
    """The first frame and the box of the clip of an aligned track, or None if the track is too short.

    The start is one of the entries that leave ``frames // every`` entries; the box is the real or the fake face
    at the middle of the window. Both are drawn from (seed, real video, fake video, tracks).
    """
    entries = settings.frames // every
    length = len(aligned["frames"])
    if length < entries:
        return None
    topic = (aligned["real"], aligned["fake"], aligned["real_track"], aligned["fake_track"])
    draw = generator(settings.seed, "clip window", *topic)
    start = int(draw.integers(length - entries + 1))
    boxes = aligned["fake_boxes" if draw.random() < 0.5 else "real_boxes"]
    return aligned["frames"][start], enlarged(boxes[start + entries // 2], settings.enlarge, width, height)


@dataclass(frozen=True)
class Cut:
    """All clips of one video: for each its first frame and its box; ``counted`` is as ``read_frames`` takes it."""

    path: Path
    windows: tuple[tuple[int, Box], ...]
    frames: int
    counted: int | None = None


@dataclass(frozen=True)
class CutClip:
    """A clip's PNG pictures, the hash of its pixels, why there are fewer than there should be (or ""), and signatures.

    ``signatures`` has one of each picture: its colours on a grid of 16 x 16 cells, each the mean over the cell's
    area (frames x 16 x 16 x 3, uint8). Equal pictures have equal signatures. What is finer than a cell, as much of
    the noise of compression is, does not show in them; another face does.
    """

    pictures: list[bytes]
    sha256: str
    reason: str
    signatures: np.ndarray


def cut_clips(cut: Cut) -> list[CutClip]:
    """Decode a video once and cut all its clips."""
    pictures: list[list[bytes]] = [[] for _ in cut.windows]
    signatures: list[list[np.ndarray]] = [[] for _ in cut.windows]
    hashes = [hashlib.sha256() for _ in cut.windows]
    wanted_by = defaultdict(list)
    for number, (first, _) in enumerate(cut.windows):
        for index in range(first, first + cut.frames):
            wanted_by[index].append(number)
    reason = ""
    try:
        video = open_video(cut.path)
        boxes = {index: [cut.windows[number][1] for number in numbers] for index, numbers in wanted_by.items()}
        for index, faces in read_crops(video, boxes, cut.counted):
            for number, face in zip(wanted_by[index], faces, strict=True):
                hashes[number].update(repr(face.shape).encode() + face.tobytes())
                pictures[number].append(encode_png(face))
                signatures[number].append(signature(face))
        reason = video.damage or "the video ends"
    except VideoError as error:
        reason = str(error)
    return [
        CutClip(
            of_clip,
            digest.hexdigest(),
            reason if len(of_clip) < cut.frames else "",
            np.array(seen, np.uint8).reshape(-1, SIGNATURE, SIGNATURE, 3),
        )
        for of_clip, digest, seen in zip(pictures, hashes, signatures, strict=True)
    ]


def failed(cut: Cut, reason: str) -> list[CutClip]:
    """In place of the clips of a video that nobody could read to its end."""
    nothing = np.zeros((0, SIGNATURE, SIGNATURE, 3), np.uint8)
    return [CutClip([], hashlib.sha256().hexdigest(), reason, nothing) for _ in cut.windows]


@dataclass(frozen=True)
class _Cutter:
    def prepare(self) -> Callable[[Cut], list[CutClip]]:
        return cut_clips


def extract_clips(
    folder: Path,
    aligned: Sequence[Mapping[str, Any]],
    videos: Mapping[str, Mapping[str, Any]],
    store: Path,
    settings: ClipSettings,
    every: int,
    max_unreadable: float,
    workers: int = 1,
    video_timeout: float | None = None,
) -> list[dict[str, Any]]:
    """Cut the clips of a training part into a store; give the rows of the table of clips.

    ``aligned`` are the rows of the table of aligned tracks, ``videos`` the rows of the table of videos by name,
    ``every`` the distance of the sampled frames. Each video is decoded once, for all its clips.
    An aligned track that is too short for a clip has a row, too, and so have the clips of a video that takes longer
    than ``video_timeout`` seconds. The rows of fakes say how much they differ from their twins (``difference``).
    Raises UserError if more than the share ``max_unreadable`` of the videos cannot be read any more.
    """
    too_short: list[dict[str, Any]] = []
    windows_of: dict[str, list[tuple[dict[str, Any], tuple[int, Box]]]] = defaultdict(list)
    for track in aligned:
        if track["status"] != "aligned":
            continue
        size = videos[track["real"]]
        about = {key: track[key] for key in ("real", "fake", "real_track", "fake_track")}
        if window := choose_window(track, settings, every, size["width"], size["height"]):
            for label, video in (("REAL", track["real"]), ("FAKE", track["fake"])):
                row = {"part": folder.name, "label": label, "video": video, **about, "difference": None}
                windows_of[video].append((row | {"first_frame": window[0], "box": window[1]}, window))
        else:
            too_short.append(_row_without_clip(folder.name, about, len(track["frames"]), settings.frames // every))

    cuts = [
        Cut(
            folder / video,
            tuple(window for _, window in windows),
            settings.frames,
            counted_frames(videos.get(video, {})),
        )
        for video, windows in windows_of.items()
    ]
    rows: list[dict[str, Any]] = []
    compare = Comparison()

    def clips() -> Iterator[list[bytes]]:
        results = progress(map_in_order(_Cutter().prepare, cuts, workers, video_timeout, failed), len(cuts), "videos")
        number = 0
        for windows, of_video in zip(windows_of.values(), results, strict=True):
            for (row, _), clip in zip(windows, of_video, strict=True):
                status = "ok" if not clip.reason else "short" if clip.pictures else "failed"
                row |= {
                    "frames": len(clip.pictures),
                    "bytes": sum(map(len, clip.pictures)),
                    "status": status,
                    "reason": clip.reason,
                    "sha256": clip.sha256,
                    "clip": number if clip.pictures else None,
                }
                rows.append(row)
                compare(row, clip.signatures)
                if clip.pictures:
                    number += 1
                    yield clip.pictures

    write_store(store, clips())
    by_video = {row["video"]: row | {"status": _READABLE[row["status"]]} for row in rows}
    check_readable(list(by_video.values()), folder, max_unreadable)
    return rows + too_short


_READABLE = {"ok": "ok", "short": "ok", "failed": "unreadable"}


def _row_without_clip(part: str, about: Mapping[str, Any], length: int, needed: int) -> dict[str, Any]:
    """The row of an aligned track that is too short for a clip."""
    empty = {"clip": None, "first_frame": None, "box": None, "frames": 0, "bytes": 0, "sha256": "", "difference": None}
    reason = f"the aligned track has {length} sampled frames, a clip needs {needed}"
    what = {"part": part, "label": "FAKE", "video": about["fake"], "status": "failed", "reason": reason}
    return {**what, **about, **empty}
