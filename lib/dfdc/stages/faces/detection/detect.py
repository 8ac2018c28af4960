"""The stages that detect faces in training parts and in test videos."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dfdc.data.schemas.detections import Faces
from dfdc.data.schemas.videos import TestVideo, TrainingVideo
from dfdc.stages.faces.detection.batches import detect_in_batches
from dfdc.stages.faces.detection.detectors import build_detector
from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.stages.faces.detection.videos import VideoFaces, detect_video, unreadable
from dfdc.system.progress import progress
from dfdc.system.workers.pool import map_in_order
from dfdc.video.unreadable import check_readable


@dataclass(frozen=True)
class _Task:
    """``detect_video`` with all arguments but the path; each worker process builds its detector once."""

    settings: DetectionSettings
    kept_fps: float | None
    max_pixels: int | None

    def prepare(self) -> Callable[[Path], VideoFaces]:
        detector = build_detector(self.settings, "cpu", 1)
        return lambda path: detect_video(path, detector, self.settings.every, self.kept_fps, self.max_pixels)


def detect_faces(
    folder: Path,
    metadata: Mapping[str, Mapping[str, str]],
    settings: DetectionSettings,
    max_unreadable: float,
    device: str = "cpu",
    workers: int = 1,
    batch_size: int = 8,
    video_timeout: float | None = None,
    max_pixels: int | None = None,
) -> tuple[list[Faces], list[TrainingVideo]]:
    """Detect the faces in the videos of a training part; returns the faces and the table row of each video.

    ``metadata`` is the part's metadata.json: every video in it has a row, including those that are missing on disk,
    make no progress for ``video_timeout`` seconds or crash the worker, or have pictures of more than
    ``max_pixels``. Raises UserError if more than the fraction
    ``max_unreadable`` of the videos cannot be read.
    """
    names = sorted(metadata)
    detected = list(
        _detect_all(
            [folder / name for name in names], settings, None, device, workers, batch_size, video_timeout, max_pixels
        )
    )
    unreadable = {video.row.video: video.row.reason for video in detected if video.row.status == "unreadable"}
    check_readable(unreadable, len(detected), folder, max_unreadable)
    entries = [metadata[name] for name in names]
    return [video.detections() for video in detected], [
        video.row.labelled(entry["label"], entry.get("original") or "")
        for video, entry in zip(detected, entries, strict=True)
    ]


def detect_test_faces(
    paths: Sequence[Path],
    settings: DetectionSettings,
    kept_fps: float,
    device: str = "cpu",
    workers: int = 1,
    batch_size: int = 8,
    video_timeout: float | None = None,
    max_pixels: int | None = None,
) -> tuple[list[Faces], list[TestVideo]]:
    """Detect the faces in test videos; returns the faces and the table row of each video.

    Unreadable videos (see ``detect_faces``) have a row and do not raise an error; they will be scored 0.5.
    """
    detected = list(_detect_all(paths, settings, kept_fps, device, workers, batch_size, video_timeout, max_pixels))
    return [video.detections() for video in detected], [video.row for video in detected]


def _detect_all(
    paths: Sequence[Path],
    settings: DetectionSettings,
    kept_fps: float | None,
    device: str,
    workers: int,
    batch_size: int,
    limit: float | None,
    max_pixels: int | None,
) -> Iterator[VideoFaces]:
    """The faces of some videos, in order.

    On a CPU each worker has its own detector; on a GPU one detector processes the frames of all workers.
    """
    if device == "cpu" or settings.detector == "yunet":
        results = map_in_order(
            _Task(settings, kept_fps, max_pixels).prepare,
            paths,
            workers,
            limit,
            lambda path, reason: unreadable(path, kept_fps, reason),
        )
    else:
        detector = build_detector(settings, device, batch_size)
        results = detect_in_batches(paths, detector, settings.every, kept_fps, workers, batch_size, limit, max_pixels)
    yield from progress(results, len(paths), "videos")
