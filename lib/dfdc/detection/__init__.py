"""Faces in videos: one interface for all detectors, and the two stages that use it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dfdc.errors import VideoError
from dfdc.log import progress
from dfdc.parallel import map_in_order
from dfdc.video import check_readable, open_video, read_frames


class Detector(Protocol):
    """What finds faces in pictures."""

    def detect(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        """For each RGB frame (height x width x 3, uint8) its faces, best first.

        Faces are an N x 5 float32 array of x1, y1, x2, y2 in pixels of the frame and a score of 0 to 1.
        """


@dataclass(frozen=True)
class DetectionSettings:
    """``detector``: dsfd or yunet; ``weights``: its file, None for the one that comes with yunet;
    ``resize`` and ``size``: the frame is resized so that its area is size x size (area) or its longer side is
    ``size`` (longer_side); ``threshold``: least score; ``every``: faces are looked for in every so many frames
    (in prediction: of the frames that are kept)."""

    detector: str
    weights: str | None
    resize: str
    size: int
    threshold: float
    every: int


def build_detector(settings: DetectionSettings, device: str, batch_size: int) -> Detector:
    """Load the detector that the settings name onto ``device`` (cpu, cuda or cuda:N).

    Raises UserError if its weights are missing or are not its weights.
    """
    if settings.detector == "yunet":
        from dfdc.detection.yunet import YuNetDetector

        return YuNetDetector(settings.weights, longer_side=settings.size, threshold=settings.threshold)
    import torch

    from dfdc.detection.dsfd import DSFDDetector

    if device == "cpu":
        # One thread a process, on however many cores: sums depend on the number of threads to the last digits.
        torch.set_num_threads(1)
    return DSFDDetector(
        settings.weights,
        resize=settings.resize,
        size=settings.size,
        threshold=settings.threshold,
        device=device,
        batch_size=batch_size,
    )


@dataclass
class VideoFaces:
    """What was found in one video: its row for the table of videos, and the faces of each sampled frame."""

    row: dict[str, Any]
    faces: dict[int, np.ndarray] = field(default_factory=dict)

    def detections(self) -> Iterator[dict[str, Any]]:
        """Rows for the table of detections."""
        for frame, faces in self.faces.items():
            for *box, score in faces.tolist():
                yield {"video": self.row["video"], "frame": frame, "box": box, "score": score}


def detect_video(
    path: Path, detector: Detector, every: int, kept_fps: float | None = None, batch: int = 8
) -> VideoFaces:
    """Look for faces in every ``every``-th frame of a video that need not be sound.

    With ``kept_fps`` only every ``step``-th frame counts, so that about so many are left of a second (``step =
    round(int(fps) / kept_fps)``), and faces are looked for in every ``every``-th of those; the row then
    has the step too. Frames are streamed: no more than ``batch`` are held.
    """
    row = {"video": path.name, "status": "ok", "reason": "", "frames": 0, "width": 0, "height": 0, "fps": 0.0}
    if kept_fps is not None:
        row["step"] = 0
    faces: dict[int, np.ndarray] = {}
    try:
        video = open_video(path)
        row["fps"] = video.fps
        distance = every
        if kept_fps is not None:
            row["step"] = round(int(video.fps) / kept_fps)
            if row["step"] == 0:
                raise VideoError(f"a frame rate of {video.fps:g} is too low")
            distance = every * row["step"]
        held: list[tuple[int, np.ndarray]] = []

        def flush() -> None:
            found = detector.detect([frame for _, frame in held])
            faces.update(zip((index for index, _ in held), found, strict=True))
            held.clear()

        for index, frame in read_frames(video, wanted=lambda index: index % distance == 0):
            held.append((index, frame))
            if len(held) == batch:
                flush()
        if held:
            flush()
    except VideoError as error:
        row |= {"status": "unreadable", "reason": str(error)}
        return VideoFaces(row)
    row |= {"frames": video.frames_read, "width": video.width, "height": video.height}
    if video.damage:
        row |= {"status": "damaged", "reason": f"after frame {video.frames_read - 1}: {video.damage}"}
    elif not any(len(of_frame) for of_frame in faces.values()):
        row |= {"status": "no face", "reason": "no face was detected in any sampled frame"}
    return VideoFaces(row, faces)


@dataclass(frozen=True)
class _Task:
    """``detect_video`` with everything but the path; each worker process builds its detector once."""

    settings: DetectionSettings
    device: str
    batch_size: int
    kept_fps: float | None

    def prepare(self) -> Callable[[Path], VideoFaces]:
        detector = build_detector(self.settings, self.device, self.batch_size)
        return lambda path: detect_video(path, detector, self.settings.every, self.kept_fps, self.batch_size)


def detect_faces(
    folder: Path,
    metadata: Mapping[str, Mapping[str, str]],
    settings: DetectionSettings,
    max_unreadable: float,
    device: str = "cpu",
    workers: int = 1,
    batch_size: int = 8,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the tables of detections and of videos for a training part.

    ``metadata`` is the part's metadata.json: every video in it gets a row, also one that is missing on disk.
    Raises UserError if more than the share ``max_unreadable`` of the videos cannot be read.
    """
    names = sorted(metadata)
    task = _Task(settings, device, batch_size, None)
    found = list(_detect_all([folder / name for name in names], task, workers))
    for video in found:
        entry = metadata[video.row["video"]]
        video.row |= {"label": entry["label"], "original": entry.get("original") or ""}
    check_readable([video.row for video in found], folder, max_unreadable)
    return [row for video in found for row in video.detections()], [video.row for video in found]


def detect_test_faces(
    paths: Sequence[Path],
    settings: DetectionSettings,
    kept_fps: float,
    device: str = "cpu",
    workers: int = 1,
    batch_size: int = 8,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the tables of detections and of test videos for some test videos.

    Unreadable ones have a row and never stop the others: they will score 0.5.
    """
    found = list(_detect_all(paths, _Task(settings, device, batch_size, kept_fps), workers))
    return [row for video in found for row in video.detections()], [video.row for video in found]


def _detect_all(paths: Sequence[Path], task: _Task, workers: int) -> Iterator[VideoFaces]:
    yield from progress(map_in_order(task.prepare, paths, workers), len(paths), "videos")
