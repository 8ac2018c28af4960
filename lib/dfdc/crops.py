"""Cutting the faces of test videos: what the networks look at."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dfdc.clips import Box, enlarged
from dfdc.errors import VideoError
from dfdc.log import progress
from dfdc.parallel import map_in_order
from dfdc.store import encode_png, write_store
from dfdc.video import check_readable, counted_frames, open_video, read_frames


@dataclass(frozen=True)
class CropSettings:
    """The box is enlarged ``enlarge`` times. Of a track's kept frames every ``frame_every``-th is a face for the
    frame models, and every ``sequence_every``-th starts a window of ``sequence_length`` for sequence models.
    ``kinds``: which of frame and sequence are wanted."""

    enlarge: float
    frame_every: int
    sequence_every: int
    sequence_length: int
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Crop:
    """Pictures to be cut with one box: a face for a frame model, or a window for a sequence model."""

    track: int
    kind: str
    ordinal: int
    frames: tuple[int, ...]
    box: Box


def plan_crops(
    track: int, frames: Sequence[int], boxes: np.ndarray, width: int, height: int, settings: CropSettings
) -> Iterator[Crop]:
    """What to cut for a track that has a box at each of its kept frames; width and height of the video.

    A window is cut with the box of its middle frame. A window that does not fit into the track is left out.
    """
    if "frame" in settings.kinds:
        for ordinal, position in enumerate(range(0, len(frames), settings.frame_every)):
            box = enlarged(boxes[position], settings.enlarge, width, height)
            yield Crop(track, "frame", ordinal, (frames[position],), box)
    if "sequence" in settings.kinds:
        length = settings.sequence_length
        for ordinal, start in enumerate(range(0, len(frames) - length + 1, settings.sequence_every)):
            box = enlarged(boxes[start + length // 2], settings.enlarge, width, height)
            yield Crop(track, "sequence", ordinal, tuple(frames[start : start + length]), box)


@dataclass(frozen=True)
class _VideoCrops:
    path: Path
    crops: tuple[Crop, ...]
    counted: int | None


@dataclass
class _CutCrop:
    pictures: list[bytes] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)


def _cut_crops(video: _VideoCrops) -> tuple[str, list[tuple[list[bytes], str]]]:
    """Decode a video once and give, for each crop, its PNG pictures and the hash of their pixels.

    There are fewer pictures, or none, where the video is damaged. Before them: why it cannot be read at all, or "".
    """
    wanted_by: dict[int, list[int]] = {}
    for number, crop in enumerate(video.crops):
        for frame in crop.frames:
            wanted_by.setdefault(frame, []).append(number)
    cut = [_CutCrop() for _ in video.crops]
    reason = ""
    try:
        opened = open_video(video.path)
        end = max(wanted_by, default=-1) + 1
        for index, frame in read_frames(opened, wanted_by.__contains__, end, video.counted):
            for number in wanted_by[index]:
                x1, y1, x2, y2 = video.crops[number].box
                face = np.ascontiguousarray(frame[y1:y2, x1:x2])
                cut[number].digest.update(repr(face.shape).encode() + face.tobytes())
                cut[number].pictures.append(encode_png(face))
    except VideoError as error:
        reason = str(error)
    return reason, [(crop.pictures, crop.digest.hexdigest()) for crop in cut]


def _failed(video: _VideoCrops, reason: str) -> tuple[str, list[tuple[list[bytes], str]]]:
    """In place of the crops of a video that nobody could read to its end."""
    return reason, [([], "")] * len(video.crops)


@dataclass(frozen=True)
class _Cutter:
    def prepare(self) -> Callable[[_VideoCrops], tuple[str, list[tuple[list[bytes], str]]]]:
        return _cut_crops


def crop_test_faces(
    folder: Path,
    tracks: Mapping[str, Mapping[int, tuple[list[int], np.ndarray]]],
    videos: Mapping[str, Mapping[str, Any]],
    store: Path,
    settings: CropSettings,
    max_unreadable: float,
    workers: int = 1,
    video_timeout: float | None = None,
) -> list[dict[str, Any]]:
    """Cut the faces of test videos into a store; give the rows of the table of crops.

    ``tracks`` gives for each video and track its kept frames and their boxes, ``videos`` are the rows of the table of
    test videos by name. Raises UserError if more than the share ``max_unreadable`` of these videos cannot be read any
    more, or not within ``video_timeout`` seconds.
    """
    planned = [
        _VideoCrops(
            folder / name,
            tuple(
                crop
                for track, (frames, boxes) in of_video.items()
                for crop in plan_crops(track, frames, boxes, videos[name]["width"], videos[name]["height"], settings)
            ),
            counted_frames(videos[name]),
        )
        for name, of_video in tracks.items()
    ]
    rows: list[dict[str, Any]] = []
    read: list[dict[str, Any]] = []

    def batches() -> Iterator[list[bytes]]:
        cut = map_in_order(_Cutter().prepare, planned, workers, video_timeout, _failed)
        for video, (reason, of_video) in zip(planned, progress(cut, len(planned), "videos"), strict=True):
            status = "unreadable" if reason else "ok"
            read.append({"video": video.path.name, "status": status, "reason": reason})
            for crop, (pictures, digest) in zip(video.crops, of_video, strict=True):
                if len(pictures) == len(crop.frames):
                    about = {
                        "track": crop.track,
                        "kind": crop.kind,
                        "ordinal": crop.ordinal,
                        "frames": crop.frames,
                    }
                    rows.append({"video": video.path.name, **about, "batch": len(rows), "sha256": digest})
                    yield pictures

    write_store(store, batches())
    # Their faces were found, so they could be read then: to score them 0.5 would hide that something broke since.
    check_readable(read, folder, max_unreadable)
    return rows
