"""Face detection in one video, which may be damaged."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from dfdc.data.parts import as_text, is_text
from dfdc.data.schemas.detections import Faces
from dfdc.data.schemas.videos import TestVideo, Video
from dfdc.stages.faces.detection.resize import Resized
from dfdc.system.errors import VideoError
from dfdc.video.counting import count_frames
from dfdc.video.reading import open_video, partly_decoded, read_frames


class Detector(Protocol):
    """A face detector with two steps; the first needs neither weights nor a GPU."""

    @property
    def prepare(self) -> Callable[[np.ndarray], Resized]:
        """Converts an RGB uint8 frame (height x width x 3) to the detector's input. It can be pickled."""

    def detect(self, prepared: list[Resized]) -> list[np.ndarray]:
        """The faces of each prepared frame, best first.

        Faces are an N x 5 float32 array of x1, y1, x2, y2 in pixels of the frame and a score from 0 to 1.
        """


class SampledFrames:
    """Iterates over the sampled frames of a video, as pairs of frame index and prepared frame.

    Every ``every``-th frame is sampled. With ``kept_fps`` only every ``step``-th frame is kept
    (``step = round(int(fps) / kept_fps)``, but at least 1: about ``kept_fps`` frames per second), and every
    ``every``-th kept frame is sampled. After iteration ``row`` is the row of the table of videos, without what depends
    on faces; with ``kept_fps`` it has the step as well. Pictures of more than ``max_pixels`` are not decoded.

    What no sampled frame depends on is not decoded where that certainly changes no sampled frame, so damage there goes
    unnoticed.
    """

    def __init__(
        self,
        path: Path,
        prepare: Callable[[np.ndarray], Resized],
        every: int,
        kept_fps: float | None,
        max_pixels: int | None = None,
    ) -> None:
        """The video is opened on iteration."""
        self.path, self.prepare, self.every, self.kept_fps, self.max_pixels = path, prepare, every, kept_fps, max_pixels
        self.row = _unknown(path, kept_fps)

    def __iter__(self) -> Iterator[tuple[int, Resized]]:
        """Decode the video."""
        try:
            if not is_text(self.path.name):
                raise VideoError("its name is not UTF-8")
            video = open_video(self.path, self.max_pixels)
            self.row = replace(self.row, fps=video.fps)
            distance = self.every
            if self.kept_fps is not None:
                if video.fps <= 0:
                    raise VideoError("its frame rate is unknown")
                step = max(round(int(video.fps) / self.kept_fps), 1)
                self.row = replace(self.row, step=step)
                distance *= step
            counted = count_frames(video)
            for index, frame in read_frames(video, lambda index: index % distance == 0, counted=counted):
                yield index, self.prepare(frame)
        except VideoError as error:
            self.row = replace(self.row, status="unreadable", reason=str(error))
            return
        size = {"width": video.width, "height": video.height}
        self.row = replace(self.row, frames=video.frames_read, in_order=video.in_order, **size)
        if video.damage:
            reason = f"after frame {video.frames_read - 1}: {video.damage}"
            self.row = replace(self.row, status="damaged", reason=reason)
        elif video.spoilt:
            self.row = replace(self.row, status="damaged", reason=partly_decoded(video.spoilt))


@dataclass
class VideoFaces:
    """The result for one video: its row of the table of videos, and the N x 5 faces of each sampled frame."""

    row: Video
    faces: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Set the status if there are no faces, and drop those of frames that turned out not to exist.

        These are frames after damage: it is noticed only later if it is in pictures that were skipped at first.
        """
        self.faces = {index: of_frame for index, of_frame in self.faces.items() if index < self.row.frames}
        if self.row.status == "ok" and not any(len(of_frame) for of_frame in self.faces.values()):
            reason = "no face was detected in any sampled frame"
            self.row = replace(self.row, status="no face", reason=reason)

    def detections(self) -> Faces:
        """The faces of all frames, concatenated."""
        if not self.faces:
            return Faces.none(self.row.video)
        counts = [len(of_frame) for of_frame in self.faces.values()]
        faces = np.concatenate([of_frame.reshape(-1, 5) for of_frame in self.faces.values()]).astype(np.float32)
        frames = np.repeat(np.array(list(self.faces), np.int32), counts)
        return Faces(self.row.video, frames, faces[:, :4], faces[:, 4])


def unreadable(path: Path, kept_fps: float | None, reason: str) -> VideoFaces:
    """The result for a video whose worker crashed or timed out."""
    return VideoFaces(replace(_unknown(path, kept_fps), status="unreadable", reason=reason))


def detect_video(
    path: Path, detector: Detector, every: int, kept_fps: float | None = None, max_pixels: int | None = None
) -> VideoFaces:
    """Detect faces in the sampled frames of a video (see ``SampledFrames``), one by one."""
    samples = SampledFrames(path, detector.prepare, every, kept_fps, max_pixels)
    faces = {index: detector.detect([prepared])[0] for index, prepared in samples}
    return VideoFaces(samples.row, faces)


def _unknown(path: Path, kept_fps: float | None) -> Video:
    """An empty row for a training video, or for a test video."""
    name = as_text(path.name)
    return Video(name) if kept_fps is None else TestVideo(name)
