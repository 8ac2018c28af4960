"""Faces in one video, which need not be sound."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

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


class Samples:
    """The frames of a video that are looked at, as pairs of index and prepared frame, one at a time.

    They are every ``every``-th frame. With ``kept_fps`` only every ``step``-th frame counts, so that about so many are
    left of a second (``step = round(int(fps) / kept_fps)``), and they are every ``every``-th of those. After all have
    been taken ``row`` is the video's row for the table of videos, but for what faces tell; with ``kept_fps`` it has the
    step too.
    """

    def __init__(
        self, path: Path, prepare: Callable[[np.ndarray], Resized], every: int, kept_fps: float | None
    ) -> None:
        """Nothing is read yet."""
        self.path, self.prepare, self.every, self.kept_fps = path, prepare, every, kept_fps
        self.row = _blank_row(path, kept_fps)

    def __iter__(self) -> Iterator[tuple[int, Resized]]:
        """Decode the video."""
        row = self.row
        try:
            video = open_video(self.path)
            row["fps"] = video.fps
            distance = self.every
            if self.kept_fps is not None:
                row["step"] = round(int(video.fps) / self.kept_fps)
                if row["step"] == 0:
                    raise VideoError(f"a frame rate of {video.fps:g} is too low")
                distance *= row["step"]
            for index, frame in read_frames(video, wanted=lambda index: index % distance == 0):
                yield index, self.prepare(frame)
        except VideoError as error:
            row |= {"status": "unreadable", "reason": str(error)}
            return
        row |= {"frames": video.frames_read, "in_order": video.in_order}
        row |= {"width": video.width, "height": video.height}
        if video.damage:
            row |= {"status": "damaged", "reason": f"after frame {video.frames_read - 1}: {video.damage}"}
        elif video.spoilt:
            places = ", ".join(map(str, video.spoilt[:3])) + (", …" if len(video.spoilt) > 3 else "")
            row |= {"status": "damaged", "reason": f"frames that could be decoded in part only: {places}"}


@dataclass
class VideoFaces:
    """What was found in one video: its row for the table of videos, and the faces of each sampled frame."""

    row: dict[str, Any]
    faces: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note in the row if there is no face."""
        if self.row["status"] == "ok" and not any(len(of_frame) for of_frame in self.faces.values()):
            self.row |= {"status": "no face", "reason": "no face was detected in any sampled frame"}

    def detections(self) -> Iterator[dict[str, Any]]:
        """Rows for the table of detections."""
        for frame, faces in self.faces.items():
            for *box, score in faces.tolist():
                yield {"video": self.row["video"], "frame": frame, "box": box, "score": score}


def unreadable(path: Path, kept_fps: float | None, reason: str) -> VideoFaces:
    """What is known of a video that nobody could read to its end."""
    return VideoFaces(_blank_row(path, kept_fps) | {"status": "unreadable", "reason": reason})


def detect_video(path: Path, detector: Detector, every: int, kept_fps: float | None = None) -> VideoFaces:
    """Look for faces in those frames of a video that ``Samples`` describes, one after the other."""
    samples = Samples(path, detector.prepare, every, kept_fps)
    faces = {index: detector.detect([prepared])[0] for index, prepared in samples}
    return VideoFaces(samples.row, faces)


def _blank_row(path: Path, kept_fps: float | None) -> dict[str, Any]:
    """A row for the table of videos, or of test videos, of a video of which nothing is known."""
    row = {"video": path.name, "status": "ok", "reason": "", "frames": 0, "in_order": False}
    row |= {"width": 0, "height": 0, "fps": 0.0}
    return row if kept_fps is None else row | {"step": 0}
