"""From any videos to their scores, one after the other: what the workflow does in stages, without its files.

Worker processes find the faces of a video and cut them, into a file, and this process judges them. What is held in
memory does not grow with the length of a video.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from dfdc.data.pictures.store import Store
from dfdc.data.schemas.crops import Crop
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TestVideo
from dfdc.networks.weights.export import export_weights
from dfdc.networks.weights.find import Member
from dfdc.stages.faces.detection.batches import detect_in_batches
from dfdc.stages.faces.detection.detectors import build_detector
from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.stages.faces.detection.videos import Detector, VideoFaces, detect_video, unreadable
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.faces.tracking import track_video
from dfdc.stages.prediction.crops import crop_video
from dfdc.stages.prediction.ensemble import combine, ensemble_settings
from dfdc.stages.prediction.scorer import Scorer, score
from dfdc.stages.prediction.settings.crops import CropSettings
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.system.pool import Kind, work_on

BIN = 1.0  # seconds of a track whose scores are combined where the score is told over time


@dataclass(frozen=True)
class ScoringSettings:
    """What the stages of the workflow's test half are told; about ``fps`` frames of a second are looked at."""

    detection: DetectionSettings
    fps: float
    tracking: TrackerSettings
    crops: CropSettings
    ensemble: EnsembleSettings

    @classmethod
    def of(cls, config: Mapping[str, Any], members: Sequence[Member]) -> "ScoringSettings":
        """Take them from a whole config, for some of its models.

        Raises UserError if it asks for a fitted calibration, and the run that the weights are from has none.
        """
        prediction = config["prediction"]
        keys = ("enlarge", "frame_every", "sequence_every", "sequence_length")
        return cls(
            DetectionSettings(**config["detection"]["test"]),
            prediction["fps"],
            TrackerSettings(**config["tracking"]["test"]),
            CropSettings(
                **{key: prediction[key] for key in keys}, kinds=tuple(sorted({one.model["kind"] for one in members}))
            ),
            ensemble_settings(config["ensemble"], _calibration(members)),
        )


def _calibration(members: Sequence[Member]) -> Path:
    """Where the run that made some weights (results/models/{model}/…) has the calibration that was fitted for them."""
    # Not by counting parents: weights may lie in a folder of the root (/weights/re.pth), as in containers.
    return Path(os.path.normpath(members[0].path.absolute().parent / "../../validation/calibration.json"))


@dataclass(frozen=True)
class TrackScores:
    """A face that was followed, with its box at each kept frame, and what each model says of it.

    ``scores`` gives for each model the numbers of the frames that it looked at and the probability of each of being
    fake; a frame can come twice, in windows that overlap.
    """

    track: Track
    scores: dict[str, tuple[np.ndarray, np.ndarray]]

    def probabilities(self) -> np.ndarray:
        """Those of all models, one after the other."""
        return np.concatenate([probabilities for _, probabilities in self.scores.values()])

    def probability(self, settings: EnsembleSettings) -> float:
        """The score of this track alone, combined as a video's."""
        return combine(self.probabilities(), settings)

    def over_time(self, fps: float, settings: EnsembleSettings) -> list[tuple[float, float]]:
        """The start of each second in which the face was judged, in seconds, and its score, combined as a video's."""
        frames = np.concatenate([frames for frames, _ in self.scores.values()])
        bins = np.floor(frames / fps / BIN).astype(int)
        return [(int(start) * BIN, combine(self.probabilities()[bins == start], settings)) for start in np.unique(bins)]


@dataclass(frozen=True)
class VideoScore:
    """What is known of a video when it has been judged.

    ``probability`` of being fake. The status in ``row`` may also be ``no track``: there were faces, and none was
    followed for so long that a model could look at it. ``store`` holds the pictures of the crops and is there until
    the next video is asked for; it is None where nothing was cut. ``seconds`` that it took.
    """

    path: Path
    row: TestVideo
    probability: float
    tracks: list[TrackScores]
    crops: list[Crop]
    store: Store | None
    seconds: float

    def frames_used(self) -> int:
        """How many frames of the video a model has looked at."""
        return len({frame for track in self.tracks for frames, _ in track.scores.values() for frame in frames.tolist()})


def score_videos(
    paths: Sequence[Path],
    members: Sequence[Member],
    settings: ScoringSettings,
    device: torch.device,
    workers: int,
    batch_size: int,
    video_timeout: float | None,
    folder: Path,
) -> Iterator[VideoScore]:
    """Score videos with the models of an ensemble; each is given as soon as it is done, so the order may differ.

    The numbers are those of the workflow with the same settings. ``workers`` processes decode (and, without a GPU,
    detect). ``folder`` is for temporary files, which are deleted: the faces of up to ``workers`` videos at a time. A
    video that cannot be read, takes longer than ``video_timeout`` seconds or crashes a worker has a score, too:
    ``settings.ensemble.unknown``. Raises UserError if weights do not fit, or for a GPU that is too small.
    """
    judges = [(member, _scorer(member, folder, device)) for member in members]
    with contextlib.closing(_found(paths, settings, device, workers, batch_size, video_timeout, folder)) as videos:
        for found in videos:
            yield _judged(found, judges, settings.ensemble)
            found.store.unlink(missing_ok=True)


def _scorer(member: Member, folder: Path, device: torch.device) -> Scorer:
    """Load weights by the way of the workflow, which exports them first: in half precision they are others."""
    exported = folder / "weights.safetensors"
    export_weights(member.path, member.name, member.model, exported)
    scorer = Scorer(exported, device)
    exported.unlink()
    return scorer


@dataclass(frozen=True)
class _Video:
    """A video on its way to a worker, with its number and, if somebody has looked for them already, its faces."""

    number: int
    path: Path
    faces: VideoFaces | None = None


@dataclass(frozen=True)
class _Found:
    """What a worker has found in a video. It has written the crops to ``store``."""

    path: Path
    row: TestVideo
    store: Path
    tracks: list[Track] = field(default_factory=list)
    crops: list[Crop] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class _Finder:
    """What a worker does: it looks for faces, unless that was done, follows them, and cuts them."""

    settings: ScoringSettings
    folder: Path
    detects: bool

    def store(self, video: _Video) -> Path:
        return self.folder / f"{video.number}.arrow"

    def prepare(self) -> Callable[[_Video], _Found]:
        detector = build_detector(self.settings.detection, "cpu", 1) if self.detects else None
        return lambda video: self.find(video, detector)

    def find(self, video: _Video, detector: Detector | None) -> _Found:
        begun = time.monotonic()
        settings, every = self.settings, self.settings.detection.every
        faces = video.faces or detect_video(video.path, detector, every, settings.fps)
        row = faces.row
        tracks = track_video(faces.detections(), row.frames, row.step * every, settings.tracking, row.step)
        crops: list[Crop] = []
        if tracks:
            crops, reason = crop_video(video.path, tracks, row, self.store(video), settings.crops)
            row = replace(row, status="unreadable", reason=reason) if reason else row
        return _Found(video.path, row, self.store(video), tracks, crops, time.monotonic() - begun)


def _found(
    paths: Sequence[Path],
    settings: ScoringSettings,
    device: torch.device,
    workers: int,
    batch_size: int,
    limit: float | None,
    folder: Path,
) -> Iterator[_Found]:
    """What workers have found in the videos, as soon as they have."""
    videos: Iterator[_Video] = (_Video(number, path) for number, path in enumerate(paths))
    on_gpu = device.type == "cuda" and settings.detection.detector != "yunet"
    if on_gpu:
        detector = build_detector(settings.detection, str(device), batch_size)
        detected = detect_in_batches(
            paths, detector, settings.detection.every, settings.fps, workers, batch_size, limit
        )
        videos = (_Video(number, path, faces) for number, (path, faces) in enumerate(zip(paths, detected, strict=True)))
        workers = max(workers // 4, 1)  # the others are busy with decoding for the detector
    finder = _Finder(settings, folder, detects=not on_gpu)
    with contextlib.closing(work_on(finder.prepare, videos, workers, limit)) as events:
        for event in events:
            if event.kind is Kind.ERROR:
                raise event.value
            if event.kind is Kind.FAILURE:
                row = unreadable(event.item.path, settings.fps, event.value).row
                yield _Found(event.item.path, row, finder.store(event.item), seconds=limit or 0.0)
            else:
                yield event.value


def _judged(found: _Found, judges: Sequence[tuple[Member, Scorer]], settings: EnsembleSettings) -> VideoScore:
    begun = time.monotonic()
    store = _ReadStore(found.store) if found.crops else None
    of_track: dict[int, dict[str, tuple[list[int], list[float]]]] = {}
    probabilities: list[float] = []
    for member, scorer in judges:
        for face in score(found.crops, store, scorer, **member.model["score"]):
            frames, of_model = of_track.setdefault(face.track, {}).setdefault(member.name, ([], []))
            frames.append(face.frame)
            of_model.append(face.probability)
            probabilities.append(face.probability)
    tracks = [
        TrackScores(
            track,
            {name: (np.array(frames), np.array(values)) for name, (frames, values) in of_track[track.number].items()},
        )
        for track in found.tracks
        if track.number in of_track
    ]
    row = found.row
    if not tracks and row.status == "ok":
        row = replace(row, status="no track", reason="no face was followed for long enough")
    return VideoScore(
        found.path,
        row,
        combine(np.array(probabilities), settings),
        tracks,
        found.crops,
        store,
        found.seconds + time.monotonic() - begun,
    )


class _ReadStore(Store):
    """A store that is read, not mapped: pages of a map that were looked at count as memory of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)))
