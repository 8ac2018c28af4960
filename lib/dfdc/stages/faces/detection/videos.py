"""Faces in one video, which need not be sound."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from dfdc.data.schemas.detections import Faces
from dfdc.data.schemas.videos import TestVideo, Video
from dfdc.stages.faces.detection.resize import Resized
from dfdc.system.errors import VideoError
from dfdc.video.reading import open_video, read_frames


class Detector(Protocol):
    """What finds faces in pictures, in two steps, of which the first needs neither weights nor a GPU."""

    @property
    def prepare(self) -> Callable[[np.ndarray], Resized]:
        """Makes of an RGB uint8 frame (height x width x 3) what the detector looks at. It can be pickled."""

    def detect(self, prepared: list[Resized]) -> list[np.ndarray]:
        """For each prepared frame its faces, best first.

        Faces are an N x 5 float32 array of x1, y1, x2, y2 in pixels of the frame and a score of 0 to 1.
        """


class SampledFrames:
    """The frames of a video that are looked at, as pairs of index and prepared frame, one at a time.

    They are every ``every``-th frame. With ``kept_fps`` only every ``step``-th frame counts, so that about so many are
    left of a second (``step = round(int(fps) / kept_fps)``), and they are every ``every``-th of those. After all have
    been taken ``row`` is what is known of the video, but for what faces tell; with ``kept_fps`` it has the step too.
    """

    def __init__(
        self, path: Path, prepare: Callable[[np.ndarray], Resized], every: int, kept_fps: float | None
    ) -> None:
        """Nothing is read yet."""
        self.path, self.prepare, self.every, self.kept_fps = path, prepare, every, kept_fps
        self.row = _unknown(path, kept_fps)

    def __iter__(self) -> Iterator[tuple[int, Resized]]:
        """Decode the video."""
        try:
            video = open_video(self.path)
            self.row = replace(self.row, fps=video.fps)
            distance = self.every
            if self.kept_fps is not None:
                step = round(int(video.fps) / self.kept_fps)
                self.row = replace(self.row, step=step)
                if step == 0:
                    raise VideoError(f"a frame rate of {video.fps:g} is too low")
                distance *= step
            for index, frame in read_frames(video, wanted=lambda index: index % distance == 0):
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
            places = ", ".join(map(str, video.spoilt[:3])) + (", …" if len(video.spoilt) > 3 else "")
            self.row = replace(
                self.row, status="damaged", reason=f"frames that could be decoded in part only: {places}"
            )


@dataclass
class VideoFaces:
    """What was found in one video: its row for the table of videos, and the N x 5 faces of each sampled frame."""

    row: Video
    faces: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note in the row if there is no face."""
        if self.row.status == "ok" and not any(len(of_frame) for of_frame in self.faces.values()):
            reason = "no face was detected in any sampled frame"
            self.row = replace(self.row, status="no face", reason=reason)

    def detections(self) -> Faces:
        """The faces of all frames together."""
        if not self.faces:
            return Faces.none(self.row.video)
        counts = [len(of_frame) for of_frame in self.faces.values()]
        faces = np.concatenate([of_frame.reshape(-1, 5) for of_frame in self.faces.values()]).astype(np.float32)
        frames = np.repeat(np.array(list(self.faces), np.int32), counts)
        return Faces(self.row.video, frames, faces[:, :4], faces[:, 4])


def unreadable(path: Path, kept_fps: float | None, reason: str) -> VideoFaces:
    """What is known of a video that nobody could read to its end."""
    return VideoFaces(replace(_unknown(path, kept_fps), status="unreadable", reason=reason))


def detect_video(path: Path, detector: Detector, every: int, kept_fps: float | None = None) -> VideoFaces:
    """Look for faces in those frames of a video that ``SampledFrames`` describes, one after the other."""
    samples = SampledFrames(path, detector.prepare, every, kept_fps)
    faces = {index: detector.detect([prepared])[0] for index, prepared in samples}
    return VideoFaces(samples.row, faces)


def _unknown(path: Path, kept_fps: float | None) -> Video:
    """The row of a video, or of a test video, of which nothing is known."""
    return Video(path.name) if kept_fps is None else TestVideo(path.name)
