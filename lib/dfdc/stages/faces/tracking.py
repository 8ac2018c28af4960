"""From boxes to tracks: the IOU tracker of Bochinski, Eiselein and Sikora (AVSS 2017)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dfdc.data.schemas.detections import Faces
from dfdc.data.schemas.tracks import Track
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.video.boxes import iou


@dataclass
class _Growing:
    """An unfinished track, with boxes and scores as plain numbers."""

    frames: list[int] = field(default_factory=list)
    boxes: list[Sequence[float]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def append(self, frame: int, box: Sequence[float], score: float) -> None:
        self.frames.append(frame)
        self.boxes.append(box)
        self.scores.append(score)


def track_boxes(
    video: str, sampled: Iterable[tuple[int, Sequence[tuple[Sequence[float], float]]]], settings: TrackerSettings
) -> list[Track]:
    """Link the faces of one video to tracks.

    ``sampled`` gives, for each sampled frame in order (including those without faces), its number and its faces as
    (box, score). Tracks are contiguous in sampled frames, and sorted by their last frame.
    """
    active: list[_Growing] = []
    finished: list[_Growing] = []

    def finish(track: _Growing) -> None:
        if max(track.scores) >= settings.sigma_h and len(track.frames) >= settings.t_min:
            finished.append(track)

    for frame, faces in sampled:
        left = [face for face in faces if face[1] >= settings.sigma_l]
        continued = []
        for track in active:
            overlaps = [iou(track.boxes[-1], box) for box, _ in left]
            best = int(np.argmax(overlaps)) if overlaps else -1
            if overlaps and overlaps[best] >= settings.sigma_iou:
                track.append(frame, *left.pop(best))
                continued.append(track)
            else:
                finish(track)
        active = continued + [_Growing([frame], [box], [score]) for box, score in left]
    for track in active:
        finish(track)
    return [
        Track(video, number, track.frames, np.array(track.boxes, np.float32), track.scores)
        for number, track in enumerate(finished)
    ]


def interpolate(track: Track, step: int, end: int) -> Track:
    """The track with a box at every ``step``-th frame from its first to its last, linearly interpolated.

    ``end`` is the number of frames of the video; frames at or after it are dropped. Interpolated boxes have no score.
    """
    frames = list(range(track.frames[0], min(track.frames[-1] + 1, end), step))
    boxes = np.stack([np.interp(frames, track.frames, track.boxes[:, side]) for side in range(4)], axis=1)
    scores = dict(zip(track.frames, track.scores, strict=True))
    return replace(track, frames=frames, boxes=boxes.astype(np.float32), scores=[scores.get(frame) for frame in frames])


def track_video(
    faces: Faces, frames: int, every: int, settings: TrackerSettings, keep_every: int | None = None
) -> list[Track]:
    """The tracks of one video.

    ``frames`` is the number of frames of the video; faces were detected in every ``every``-th of them. With
    ``keep_every``, boxes are interpolated to every ``keep_every``-th frame, as in prediction.
    """
    faces_at: dict[int, list[tuple[list[float], float]]] = {}
    for frame, *face in zip(faces.frames.tolist(), faces.boxes.tolist(), faces.scores.tolist(), strict=True):
        faces_at.setdefault(frame, []).append(face)
    sampled = ((frame, faces_at.get(frame, ())) for frame in range(0, frames, every or 1))
    tracks = track_boxes(faces.video, sampled, settings)
    return tracks if keep_every is None else [interpolate(track, keep_every, frames) for track in tracks]
