"""Cropping the faces of test videos."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.crops import Crop
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TestVideo
from dfdc.stages.prediction.settings.crops import CropSettings
from dfdc.system.errors import VideoError
from dfdc.system.progress import progress
from dfdc.system.workers.pool import map_in_order
from dfdc.video.boxes import Box, enlarged
from dfdc.video.reading import open_video, read_crops
from dfdc.video.unreadable import check_readable


@dataclass(frozen=True)
class PlannedCrop:
    """A crop to cut with one box: a single face for frame models, or a window of faces for sequence models."""

    track: int
    kind: str
    ordinal: int
    frames: tuple[int, ...]
    box: Box


def plan_crops(track: Track, width: int, height: int, settings: CropSettings) -> Iterator[PlannedCrop]:
    """The crops of a track with a box at each kept frame; ``width`` and ``height`` are those of the video.

    A window is cut with the box of its middle frame. Windows that extend beyond the end of the track are left out.
    """
    frames, boxes = track.frames, track.boxes
    if "frame" in settings.kinds:
        for ordinal, position in enumerate(range(0, len(frames), settings.frame_every)):
            box = enlarged(boxes[position], settings.enlarge, width, height)
            yield PlannedCrop(track.number, "frame", ordinal, (frames[position],), box)
    if "sequence" in settings.kinds:
        length = settings.sequence_length
        for ordinal, start in enumerate(range(0, len(frames) - length + 1, settings.sequence_every)):
            box = enlarged(boxes[start + length // 2], settings.enlarge, width, height)
            yield PlannedCrop(track.number, "sequence", ordinal, tuple(frames[start : start + length]), box)


def plan_video(tracks: Sequence[Track], video: TestVideo, settings: CropSettings) -> Iterator[PlannedCrop]:
    """The crops of all tracks of a video."""
    for track in tracks:
        yield from plan_crops(track, video.width, video.height, settings)


def _crop(video: str, crop: PlannedCrop, batch: int, sha256: str) -> Crop:
    """The table row of a crop in the store."""
    return Crop(video, crop.track, crop.kind, crop.ordinal, crop.frames, batch, sha256)


@dataclass(frozen=True)
class _VideoCrops:
    path: Path
    crops: tuple[PlannedCrop, ...]
    counted: int | None


@dataclass(frozen=True)
class CutCrop:
    """The number of a crop, its PNG pictures, and the hash of their pixels."""

    number: int
    pictures: list[bytes]
    sha256: str


def cut_crops(
    path: Path, crops: Sequence[PlannedCrop], counted: int | None, damaged: Callable[[str], None]
) -> Iterator[CutCrop]:
    """Decode a video once and yield each crop as soon as its last picture is cut.

    Only unfinished crops are kept in memory. Crops that lack a picture because the video is damaged are not yielded.
    For ``counted`` see ``read_frames``. If the video cannot be read, ``damaged`` is called with the reason.
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
    """The reason why a video cannot be read, or "", and all its crops that could be cut, sorted by number."""
    reasons: list[str] = []
    cut = sorted(cut_crops(video.path, video.crops, video.counted, reasons.append), key=lambda crop: crop.number)
    return "".join(reasons), cut


def _failed(_: _VideoCrops, reason: str) -> tuple[str, list[CutCrop]]:
    """The result for a video whose worker crashed or timed out."""
    return reason, []


@dataclass(frozen=True)
class _Cutter:
    def prepare(self) -> Callable[[_VideoCrops], tuple[str, list[CutCrop]]]:
        return _cut_all


def crop_video(
    path: Path, tracks: Sequence[Track], video: TestVideo, store: Path, settings: CropSettings
) -> tuple[list[Crop], str]:
    """Like ``crop_test_faces``, but for one video, in this process, and with little memory for any length.

    Returns the crops, and the reason why the video cannot be read, or "".
    """
    crops = list(plan_video(tracks, video, settings))
    rows: dict[int, Crop] = {}
    reasons: list[str] = []

    def batches() -> Iterator[list[bytes]]:
        for cut in cut_crops(path, crops, video.counted, reasons.append):
            rows[cut.number] = _crop(path.name, crops[cut.number], len(rows), cut.sha256)
            yield cut.pictures

    write_store(store, batches())
    return [rows[number] for number in sorted(rows)], "".join(reasons)


def crop_test_faces(
    folder: Path,
    tracks: Mapping[str, Sequence[Track]],
    videos: Mapping[str, TestVideo],
    store: Path,
    settings: CropSettings,
    max_unreadable: float,
    workers: int = 1,
    video_timeout: float | None = None,
) -> list[Crop]:
    """Cut the faces of test videos into a store; returns the crops.

    ``tracks`` gives the tracks of each video, with a box at each kept frame; ``videos`` are the test videos by name.
    Raises UserError if more than the fraction ``max_unreadable`` of the videos with tracks has become unreadable or
    makes no progress for ``video_timeout`` seconds.
    """
    planned = [
        _VideoCrops(
            folder / name,
            tuple(plan_video(of_video, videos[name], settings)),
            videos[name].counted,
        )
        for name, of_video in tracks.items()
    ]
    rows: list[Crop] = []
    unreadable: dict[str, str] = {}

    def batches() -> Iterator[list[bytes]]:
        cut = map_in_order(_Cutter().prepare, planned, workers, video_timeout, _failed)
        for video, (reason, of_video) in zip(planned, progress(cut, len(planned), "videos"), strict=True):
            if reason:
                unreadable[video.path.name] = reason
            for cut_crop in of_video:
                rows.append(_crop(video.path.name, video.crops[cut_crop.number], len(rows), cut_crop.sha256))
                yield cut_crop.pictures

    write_store(store, batches())
    # They were readable during detection: giving them a score of 0.5 would hide a problem that has occurred since.
    check_readable(unreadable, len(planned), folder, max_unreadable)
    return rows
