"""Cutting the faces of test videos: what the networks look at."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfdc.data.png import encode_png
from dfdc.data.store import write_store
from dfdc.stages.prediction.settings.crops import CropSettings
from dfdc.system.errors import VideoError
from dfdc.system.pool import map_in_order
from dfdc.system.progress import progress
from dfdc.video.boxes import Box, enlarged
from dfdc.video.reading import check_readable, counted_frames, open_video, read_crops


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


def plan_video(
    tracks: Mapping[int, tuple[Sequence[int], np.ndarray]], about: Mapping[str, Any], settings: CropSettings
) -> Iterator[Crop]:
    """What to cut of a video with some tracks; ``about`` is its row in the table of test videos."""
    for track, (frames, boxes) in tracks.items():
        yield from plan_crops(track, frames, boxes, about["width"], about["height"], settings)


def crop_row(video: str, crop: Crop, batch: int, sha256: str) -> dict[str, Any]:
    """The row of a crop in the table of crops."""
    about = {"track": crop.track, "kind": crop.kind, "ordinal": crop.ordinal, "frames": crop.frames}
    return {"video": video, **about, "batch": batch, "sha256": sha256}


@dataclass(frozen=True)
class _VideoCrops:
    path: Path
    crops: tuple[Crop, ...]
    counted: int | None


@dataclass(frozen=True)
class CutCrop:
    """The PNG pictures of the crop with a number, and the hash of their pixels."""

    number: int
    pictures: list[bytes]
    sha256: str


def cut_crops(
    path: Path, crops: Sequence[Crop], counted: int | None, damaged: Callable[[str], None]
) -> Iterator[CutCrop]:
    """Decode a video once and give each crop as soon as its last picture is cut, in the order of their ends.

    No more is held than the crops that are open. A crop that lacks a picture where the video is damaged is not given.
    ``counted`` is as ``read_frames`` takes it. If the video cannot be read at all ``damaged`` is told why.
    """
    wanted_by: dict[int, list[int]] = {}
    for number, crop in enumerate(crops):
        for frame in crop.frames:
            wanted_by.setdefault(frame, []).append(number)
    open_crops: dict[int, tuple[list[bytes], Any]] = {}
    try:
        boxes = {index: [crops[number].box for number in numbers] for index, numbers in wanted_by.items()}
        for index, faces in read_crops(open_video(path), boxes, counted):
            for number, face in zip(wanted_by[index], faces, strict=True):
                pictures, digest = open_crops.setdefault(number, ([], hashlib.sha256()))
                digest.update(repr(face.shape).encode() + face.tobytes())
                pictures.append(encode_png(face))
                if len(pictures) == len(crops[number].frames):
                    del open_crops[number]
                    yield CutCrop(number, pictures, digest.hexdigest())
    except VideoError as error:
        damaged(str(error))


def _cut_all(video: _VideoCrops) -> tuple[str, list[CutCrop]]:
    """All crops of a video that can be cut, in the order of their numbers; before them why there are none, or ""."""
    reasons: list[str] = []
    cut = sorted(cut_crops(video.path, video.crops, video.counted, reasons.append), key=lambda crop: crop.number)
    return "".join(reasons), cut


def _failed(_: _VideoCrops, reason: str) -> tuple[str, list[CutCrop]]:
    """In place of the crops of a video that nobody could read to its end."""
    return reason, []


@dataclass(frozen=True)
class _Cutter:
    def prepare(self) -> Callable[[_VideoCrops], tuple[str, list[CutCrop]]]:
        return _cut_all


def crop_video(
    path: Path,
    tracks: Mapping[int, tuple[list[int], np.ndarray]],
    about: Mapping[str, Any],
    store: Path,
    settings: CropSettings,
) -> tuple[list[dict[str, Any]], str]:
    """What ``crop_test_faces`` does, for one video, in this process, and with little memory however long it is.

    Give the rows of the table of crops, and why the video cannot be read, or "".
    """
    crops = list(plan_video(tracks, about, settings))
    rows: dict[int, dict[str, Any]] = {}
    reasons: list[str] = []

    def batches() -> Iterator[list[bytes]]:
        for cut in cut_crops(path, crops, counted_frames(about), reasons.append):
            rows[cut.number] = crop_row(path.name, crops[cut.number], len(rows), cut.sha256)
            yield cut.pictures

    write_store(store, batches())
    return [rows[number] for number in sorted(rows)], "".join(reasons)


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
            tuple(plan_video(of_video, videos[name], settings)),
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
            for cut_crop in of_video:
                rows.append(crop_row(video.path.name, video.crops[cut_crop.number], len(rows), cut_crop.sha256))
                yield cut_crop.pictures

    write_store(store, batches())
    # Their faces were found, so they could be read then: to score them 0.5 would hide that something broke since.
    check_readable(read, folder, max_unreadable)
    return rows
