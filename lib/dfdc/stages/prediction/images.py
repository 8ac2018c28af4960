"""The faces of single images, for the models that score single faces.

An image counts as a video of one frame that lasts a second, and each of its faces as a track of that frame.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dfdc.data.parts import as_text, is_text
from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.crops import Crop
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TestVideo
from dfdc.stages.faces.detection.resize import Resized
from dfdc.stages.faces.detection.videos import Detector, VideoFaces
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.faces.tracking import track_video
from dfdc.stages.prediction.settings.crops import CropSettings
from dfdc.system.errors import VideoError
from dfdc.video.boxes import enlarged
from dfdc.video.images import read_image

# Every model scores all faces that are cut. Over a track models take turns: see the setting `score` of a model.
ALL = {"of": 1, "take": (0,)}
ORDINALS = (0, 1)  # each face is scored mirrored, as every other face of a track is, and as it is
NO_FACE = "no face was detected"


@dataclass(frozen=True)
class PreparedImage:
    """The row of an image, without what depends on faces, and the input of a detector; None if it cannot be read."""

    row: TestVideo
    input: Resized | None = None

    def faces(self, detector: Detector) -> VideoFaces:
        """The faces in the image."""
        found = {} if self.input is None else {0: detector.detect([self.input])[0]}
        faces = VideoFaces(self.row, found)
        return VideoFaces(replace(faces.row, reason=NO_FACE), found) if faces.row.status == "no face" else faces


@dataclass(frozen=True)
class ImageReader:
    """The task of a worker: read an image for a detector that runs elsewhere."""

    resize: Callable[[np.ndarray], Resized]
    max_pixels: int | None

    def prepare(self) -> Callable[[Path], PreparedImage]:
        """The function that reads one."""
        return lambda path: prepare_image(path, self.resize, self.max_pixels)


def prepare_image(path: Path, resize: Callable[[np.ndarray], Resized], max_pixels: int | None) -> PreparedImage:
    """Read an image and resize it for a detector."""
    row = unread_image(path)
    try:
        if not is_text(path.name):
            raise VideoError("its name is not UTF-8")
        read = read_image(path, max_pixels)
    except VideoError as error:
        return PreparedImage(replace(row, status="unreadable", reason=str(error)))
    height, width = read.picture.shape[:2]
    reason = f"only the first of its {read.pictures} frames was scored" if read.pictures > 1 else ""
    return PreparedImage(replace(row, reason=reason, frames=1, width=width, height=height), resize(read.picture))


def unread_image(path: Path, reason: str = "") -> TestVideo:
    """The row of an image of which nothing is known; with a reason, of one that cannot be read."""
    return TestVideo(as_text(path.name), "unreadable" if reason else "ok", reason, fps=1.0, step=1)


def track_image(faces: VideoFaces, settings: TrackerSettings) -> list[Track]:
    """The faces of an image that are as certain as a track has to be at least once."""
    return track_video(faces.detections(), faces.row.frames, 1, replace(settings, t_min=1), 1)


def crop_image(
    path: Path, tracks: Sequence[Track], row: TestVideo, store: Path, settings: CropSettings, max_pixels: int | None
) -> list[Crop]:
    """Cut the faces of an image into a store, for models that look at single faces; none if there are no such models.

    Raises VideoError if the image has become unreadable.
    """
    if "frame" not in settings.kinds:
        return []
    picture = read_image(path, max_pixels).picture
    boxes = [enlarged(track.boxes[0], settings.enlarge, row.width, row.height) for track in tracks]
    faces = [np.ascontiguousarray(picture[y1:y2, x1:x2]) for x1, y1, x2, y2 in boxes]
    write_store(store, ([encode_png(face)] for face in faces))
    hashes = [hashlib.sha256(repr(face.shape).encode() + face.tobytes()).hexdigest() for face in faces]
    return [
        Crop(row.video, track.number, "frame", ordinal, (0,), number, hashes[number])
        for number, track in enumerate(tracks)
        for ordinal in ORDINALS
    ]
