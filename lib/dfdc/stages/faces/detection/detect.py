"""Faces in videos: one interface for all detectors, and the two stages that use it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dfdc.data.schemas.detections import Faces
from dfdc.data.schemas.videos import TestVideo, TrainingVideo
from dfdc.stages.faces.detection.batches import detect_in_batches
from dfdc.stages.faces.detection.detectors import build_detector
from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.stages.faces.detection.videos import VideoFaces, detect_video, unreadable
from dfdc.system.pool import map_in_order
from dfdc.system.progress import progress
from dfdc.video.reading import check_readable


@dataclass(frozen=True)
class _Task:
    """``detect_video`` with everything but the path; each worker process builds its detector once."""

    settings: DetectionSettings
    kept_fps: float | None

    def prepare(self) -> Callable[[Path], VideoFaces]:
        detector = build_detector(self.settings, "cpu", 1)
        return lambda path: detect_video(path, detector, self.settings.every, self.kept_fps)


def detect_faces(
    folder: Path,
    metadata: Mapping[str, Mapping[str, str]],
    settings: DetectionSettings,
    max_unreadable: float,
    device: str = "cpu",
    workers: int = 1,
    batch_size: int = 8,
    video_timeout: float | None = None,
) -> tuple[list[Faces], list[TrainingVideo]]:
    """The faces in the videos of a training part, and what is noted of each video.

    ``metadata`` is the part's metadata.json: every video in it gets a row, also one that is missing on disk, that takes
    longer than ``video_timeout`` seconds, or that crashes the process that reads it. Raises UserError if more than the
    share ``max_unreadable`` of the videos cannot be read.
    """
    names = sorted(metadata)
    found = list(
        _detect_all([folder / name for name in names], settings, None, device, workers, batch_size, video_timeout)
    )
    unreadable = {video.row.video: video.row.reason for video in found if video.row.status == "unreadable"}
    check_readable(unreadable, len(found), folder, max_unreadable)
    entries = [metadata[name] for name in names]
    return [video.detections() for video in found], [
        video.row.labelled(entry["label"], entry.get("original") or "")
        for video, entry in zip(found, entries, strict=True)
    ]


def detect_test_faces(
    paths: Sequence[Path],
    settings: DetectionSettings,
    kept_fps: float,
    device: str = "cpu",
    workers: int = 1,
    batch_size: int = 8,
    video_timeout: float | None = None,
) -> tuple[list[Faces], list[TestVideo]]:
    """The faces in some test videos, and what is noted of each video.

    Unreadable ones, as in ``detect_faces``, have a row and never stop the others: they will score 0.5.
    """
    found = list(_detect_all(paths, settings, kept_fps, device, workers, batch_size, video_timeout))
    return [video.detections() for video in found], [video.row for video in found]


def _detect_all(
    paths: Sequence[Path],
    settings: DetectionSettings,
    kept_fps: float | None,
    device: str,
    workers: int,
    batch_size: int,
    limit: float | None,
) -> Iterator[VideoFaces]:
    """The faces of some videos, in order.

    On a CPU each worker has a detector of its own; a GPU is kept busy by one detector with the frames of all workers.
    """
    if device == "cpu" or settings.detector == "yunet":
        found = map_in_order(
            _Task(settings, kept_fps).prepare,
            paths,
            workers,
            limit,
            lambda path, reason: unreadable(path, kept_fps, reason),
        )
    else:
        detector = build_detector(settings, device, batch_size)
        found = detect_in_batches(paths, detector, settings.every, kept_fps, workers, batch_size, limit)
    yield from progress(found, len(paths), "videos")
