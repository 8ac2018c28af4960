"""From boxes to tracks: the IOU tracker of Bochinski, Eiselein and Sikora (AVSS 2017)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from dfdc.data.tables import boxes_of
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.video.boxes import iou


@dataclass
class Track:
    """Faces of one person in consecutive sampled frames: ``frames`` numbers, N boxes, N scores."""

    frames: list[int] = field(default_factory=list)
    boxes: list[Sequence[float]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def append(self, frame: int, box: Sequence[float], score: float) -> None:
        """Add the face of the next sampled frame."""
        self.frames.append(frame)
        self.boxes.append(box)
        self.scores.append(score)


def track_boxes(
    sampled: Iterable[tuple[int, Sequence[tuple[Sequence[float], float]]]], settings: TrackerSettings
) -> list[Track]:
    """Link the faces of one video to tracks.

    ``sampled`` gives, for every sampled frame in order (those without a face too), its number and its faces as
    (box, score). Tracks are contiguous in sampled frames. They come in the order in which they end.
    """
    active: list[Track] = []
    finished: list[Track] = []

    def finish(track: Track) -> None:
        if max(track.scores) >= settings.sigma_h and len(track.frames) >= settings.t_min:
            finished.append(track)

    for frame, faces in sampled:
        left = [face for face in faces if face[1] >= settings.sigma_l]
        going_on = []
        for track in active:
            overlaps = [iou(track.boxes[-1], box) for box, _ in left]
            best = int(np.argmax(overlaps)) if overlaps else -1
            if overlaps and overlaps[best] >= settings.sigma_iou:
                track.append(frame, *left.pop(best))
                going_on.append(track)
            else:
                finish(track)
        active = going_on + [Track([frame], [box], [score]) for box, score in left]
    for track in active:
        finish(track)
    return finished


def interpolate(track: Track, step: int, end: int) -> tuple[list[int], np.ndarray, list[float | None]]:
    """Boxes for every ``step``-th frame from a track's first to its last frame, linear between its own.

    ``end`` is the number of frames of the video; no frame at or after it is given. Gives the frame numbers, the
    N x 4 boxes, and the scores with None for the boxes that were interpolated.
    """
    frames = list(range(track.frames[0], min(track.frames[-1] + 1, end), step))
    boxes = np.asarray(track.boxes, np.float32)
    between = np.stack([np.interp(frames, track.frames, boxes[:, side]) for side in range(4)], axis=1)
    scores = dict(zip(track.frames, track.scores, strict=True))
    return frames, between.astype(np.float32), [scores.get(frame) for frame in frames]


def build_tracks(
    detections: pa.Table,
    frames_of: Mapping[str, int],
    steps: Mapping[str, int],
    settings: TrackerSettings,
    keep_every: Mapping[str, int] | None = None,
) -> list[dict[str, Any]]:
    """Rows of the table of tracks for all videos of a table of detections.

    ``frames_of`` gives each video's number of frames and ``steps`` the distance of the frames in which faces were
    looked for. With ``keep_every`` (video to step) boxes are interpolated for the frames in between, as in
    prediction. Videos come in the order of ``frames_of``.
    """
    rows = []
    faces_of = _faces(detections)
    for video, end in frames_of.items():
        faces = faces_of[video]
        sampled = ((frame, faces.get(frame, ())) for frame in range(0, end, steps[video] or 1))
        for number, track in enumerate(track_boxes(sampled, settings)):
            if keep_every is None:
                frames, boxes, scores = track.frames, track.boxes, track.scores
            else:
                frames, boxes, scores = interpolate(track, keep_every[video], end)
            rows += (
                {"video": video, "track": number, "frame": frame, "box": box, "score": score}
                for frame, box, score in zip(frames, boxes, scores, strict=True)
            )
    return rows


def _faces(detections: pa.Table) -> dict[str, dict[int, list[tuple[list[float], float]]]]:
    """Video to frame to faces, in the order of the table."""
    faces: dict = defaultdict(lambda: defaultdict(list))
    columns = (
        detections["video"].to_pylist(),
        detections["frame"].to_pylist(),
        boxes_of(detections["box"]).tolist(),
        detections["score"].to_pylist(),
    )
    for video, frame, box, score in zip(*columns, strict=True):
        faces[video][frame].append((box, score))
    return faces


def tracks_of(tracks: pa.Table) -> dict[str, dict[int, tuple[list[int], np.ndarray]]]:
    """A table of tracks as video to number to (frame numbers, N x 4 boxes), in the order of the table."""
    found: dict[str, dict[int, tuple[list[int], list]]] = {}
    columns = tracks["video"].to_pylist(), tracks["track"].to_pylist(), tracks["frame"].to_pylist()
    for video, number, frame, box in zip(*columns, boxes_of(tracks["box"]), strict=True):
        frames, boxes = found.setdefault(video, {}).setdefault(number, ([], []))
        frames.append(frame)
        boxes.append(box)
    return {
        video: {number: (frames, np.stack(boxes)) for number, (frames, boxes) in of_video.items()}
        for video, of_video in found.items()
    }
