"""Finding and cutting the faces of videos and images one by one, in worker processes, into temporary files.

Nothing here imports torch, which the workers need only if their detector does, and which takes seconds.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dfdc.data.schemas.crops import Crop
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TestVideo
from dfdc.stages.faces.detection.batches import detect_in_batches
from dfdc.stages.faces.detection.detectors import build_detector
from dfdc.stages.faces.detection.videos import Detector, VideoFaces, detect_video, unreadable
from dfdc.stages.faces.tracking import track_video
from dfdc.stages.prediction.crops import crop_video
from dfdc.stages.prediction.images import (
    NO_FACE,
    ImageReader,
    PreparedImage,
    crop_image,
    prepare_image,
    track_image,
    unread_image,
)
from dfdc.stages.prediction.settings.extraction import ExtractionSettings
from dfdc.system.errors import UserError, VideoError
from dfdc.system.workers.pool import Kind, map_in_order, work_on
from dfdc.system.workers.threads import ahead
from dfdc.video.images import is_image

AHEAD = 2  # videos that wait for the next step


@dataclass(frozen=True)
class _Item:
    """A video or an image to process: its number, its path and, if they were detected on a GPU, its faces."""

    number: int
    path: Path
    is_image: bool
    faces: VideoFaces | None = None


@dataclass(frozen=True)
class Extracted:
    """The tracks and crops of a video; the pictures of the crops are in ``store``."""

    path: Path
    row: TestVideo
    store: Path
    tracks: list[Track] = field(default_factory=list)
    crops: list[Crop] = field(default_factory=list)
    seconds: float = 0.0
    is_image: bool = False


@dataclass(frozen=True)
class _Extractor:
    """The task of a worker: detect faces (unless that was done on a GPU), track and crop them."""

    settings: ExtractionSettings
    folder: Path
    detects: bool

    def store(self, video: _Item) -> Path:
        return self.folder / f"{video.number}.arrow"

    def prepare(self) -> Callable[[_Item], Extracted]:
        detector = build_detector(self.settings.detection, "cpu", 1) if self.detects else None
        return lambda video: self.extract(video, detector)

    def extract(self, video: _Item, detector: Detector | None) -> Extracted:
        begun = time.monotonic()
        steps = self._from_image if video.is_image else self._from_video
        row, tracks, crops = steps(video, detector)
        seconds = time.monotonic() - begun
        return Extracted(video.path, row, self.store(video), tracks, crops, seconds, video.is_image)

    def _from_video(self, video: _Item, detector: Detector | None) -> tuple[TestVideo, list[Track], list[Crop]]:
        settings, every = self.settings, self.settings.detection.every
        faces = video.faces or detect_video(video.path, detector, every, settings.fps, settings.max_pixels)
        row = faces.row
        tracks = track_video(faces.detections(), row.frames, row.step * every, settings.tracking, row.step)
        crops: list[Crop] = []
        if tracks:
            try:
                crops, reason = crop_video(video.path, tracks, row, self.store(video), settings.crops)
            except (OSError, UserError) as error:  # no room for its faces; there may be some for those of others
                reason = f"its faces could not be kept: {error}"
            row = replace(row, status="unreadable", reason=reason) if reason else row
        return row, tracks, crops

    def _from_image(self, image: _Item, detector: Detector | None) -> tuple[TestVideo, list[Track], list[Crop]]:
        settings, most = self.settings, self.settings.max_pixels
        faces = image.faces or prepare_image(image.path, detector.prepare, most).faces(detector)
        row, tracks = faces.row, track_image(faces, settings.tracking)
        if not tracks:
            return (replace(row, status="no face", reason=NO_FACE) if row.status == "ok" else row), [], []
        try:
            return row, tracks, crop_image(image.path, tracks, row, self.store(image), settings.crops, most)
        except VideoError as error:
            reason = str(error)
        except (OSError, UserError) as error:
            reason = f"its faces could not be kept: {error}"
        return replace(row, status="unreadable", reason=reason), tracks, []


def extract_faces(
    paths: Sequence[Path],
    settings: ExtractionSettings,
    gpu: str | None,
    workers: int,
    batch_size: int,
    limit: float | None,
    folder: Path,
    ended: threading.Event,
) -> Generator[Extracted, None, None]:
    """Extract the tracks and crops of videos and images in worker processes; yields each as soon as it is ready.

    Workers detect, track and cut; with a ``gpu`` one detector in this process detects on it for all of them.

    Soon after ``ended`` is set, the results end.
    """
    videos: Iterator[_Item] = (_Item(number, path, is_image(path)) for number, path in enumerate(paths))
    on_gpu = gpu is not None and settings.detection.detector != "yunet"
    with contextlib.ExitStack() as closed_at_the_end:
        if on_gpu:
            detected = _detect_on_gpu(list(videos), settings, gpu, workers, batch_size, limit, ended)
            videos = closed_at_the_end.enter_context(contextlib.closing(ahead(detected, AHEAD, ended)))
            workers = max(workers // 4, 1)  # the other cores decode for the detector
        extractor = _Extractor(settings, folder, detects=not on_gpu)
        events = work_on(extractor.prepare, videos, workers, limit, ended)
        for event in closed_at_the_end.enter_context(contextlib.closing(events)):
            if event.kind is Kind.ERROR:
                raise event.value
            if event.kind is Kind.FAILURE:
                path, seconds = event.item.path, event.seconds
                if event.item.is_image:
                    row = unread_image(path, event.value)
                else:
                    row = unreadable(path, settings.fps, event.value).row
                store = extractor.store(event.item)
                yield Extracted(path, row, store, seconds=seconds, is_image=event.item.is_image)
            else:
                yield event.value


def _detect_on_gpu(
    items: Sequence[_Item],
    settings: ExtractionSettings,
    gpu: str,
    workers: int,
    batch_size: int,
    limit: float | None,
    ended: threading.Event,
) -> Generator[_Item, None, None]:
    """Detect the faces of all videos, then those of all images, with one detector in this process."""
    detector = build_detector(settings.detection, gpu, batch_size)
    videos, images = ([item for item in items if item.is_image == kind] for kind in (False, True))
    paths, every, most = [video.path for video in videos], settings.detection.every, settings.max_pixels
    detected = detect_in_batches(paths, detector, every, settings.fps, workers, batch_size, limit, most, ended)
    with contextlib.closing(detected):
        for video, faces in zip(videos, detected, strict=False):  # they end early if ``ended`` is set
            yield replace(video, faces=faces)
    if ended.is_set():
        return
    reader = ImageReader(detector.prepare, most)
    paths = [image.path for image in images]
    prepared = map_in_order(reader.prepare, paths, workers, limit, _unprepared)
    with contextlib.closing(prepared):
        for image, of_image in zip(images, prepared, strict=True):
            yield replace(image, faces=of_image.faces(detector))


def _unprepared(path: Path, reason: str) -> PreparedImage:
    """The result for an image whose worker crashed or timed out."""
    return PreparedImage(unread_image(path, reason))
