"""Scoring videos one by one: the test half of the workflow without its intermediate files.

Worker processes detect, track and crop the faces of a video into a temporary file; this process scores them. It does so
in its main thread while other threads keep the workers, and a detector on a GPU, busy with the next videos. Memory use
does not grow with the length of a video.
"""

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
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
from dfdc.system.errors import UserError
from dfdc.system.settings import Precision
from dfdc.system.workers.pool import Kind, work_on
from dfdc.system.workers.threads import ahead

BIN = 1.0  # seconds; the time resolution of scores over time
AHEAD = 2  # videos that wait for the next step


@dataclass(frozen=True)
class ScoringSettings:
    """The settings of all stages of prediction; about ``fps`` frames per second are kept.

    ``precision`` is that of the models.
    """

    detection: DetectionSettings
    fps: float
    max_pixels: int
    tracking: TrackerSettings
    crops: CropSettings
    ensemble: EnsembleSettings
    precision: Precision

    @classmethod
    def of(cls, config: Mapping[str, Any], members: Sequence[Member]) -> "ScoringSettings":
        """Read the settings from a complete config, for some of its models.

        Raises UserError if it needs a fitted calibration and the run that produced the weights has none.
        """
        prediction = config["prediction"]
        keys = ("enlarge", "frame_every", "sequence_every", "sequence_length")
        return cls(
            DetectionSettings(**config["detection"]["test"]),
            prediction["fps"],
            config["data"]["max_pixels"],
            TrackerSettings(**config["tracking"]["test"]),
            CropSettings(
                **{key: prediction[key] for key in keys},
                kinds=tuple(sorted({member.model["kind"] for member in members})),
            ),
            _ensemble(config["ensemble"], members),
            prediction["precision"],
        )


def _ensemble(section: Mapping[str, Any], members: Sequence[Member]) -> EnsembleSettings:
    """The settings of the section ``ensemble``, with the fitted value that came with the weights, if it is needed."""
    kind = section["calibration"]
    fitted = (members[0].metadata.get("fitted") or {}).get(kind)
    if not isinstance(fitted, float) or not 0 < fitted < math.inf:
        return ensemble_settings(section, _calibration(members))
    rest = {key: value for key, value in section.items() if key != "calibration"}
    return EnsembleSettings(**(rest | {kind: fitted}))


def _calibration(members: Sequence[Member]) -> Path:
    """The calibration file of the run that produced the weights (results/models/{model}/…)."""
    # Not with .parents: weights may be in a top-level folder (/weights/re.pth), as in containers.
    return Path(os.path.normpath(members[0].path.absolute().parent / "../../validation/calibration.json"))


@dataclass(frozen=True)
class TrackScores:
    """A face track, with its box at each kept frame, and its scores.

    ``scores`` gives, for each model, the numbers of the scored frames and their probabilities of being fake; frames in
    overlapping windows occur twice.
    """

    track: Track
    scores: dict[str, tuple[np.ndarray, np.ndarray]]

    def probabilities(self) -> np.ndarray:
        """The probabilities of all models, concatenated."""
        return np.concatenate([probabilities for _, probabilities in self.scores.values()])

    def probability(self, settings: EnsembleSettings) -> float:
        """The score of this track alone, combined like that of a video."""
        return combine(self.probabilities(), settings)

    def over_time(self, fps: float, settings: EnsembleSettings) -> list[tuple[float, float]]:
        """The start of each second with scored frames, and the score of that second, combined like that of a video."""
        frames = np.concatenate([frames for frames, _ in self.scores.values()])
        bins = np.floor(frames / fps / BIN).astype(int)
        return [(int(start) * BIN, combine(self.probabilities()[bins == start], settings)) for start in np.unique(bins)]


@dataclass(frozen=True)
class VideoScore:
    """The result of scoring a video.

    ``probability`` is that of being fake. The status in ``row`` can also be ``no track``: faces were detected, but no
    track was long enough for a model. ``store`` holds the pictures of the crops until the next video is requested; it
    is None if there are no crops. ``seconds`` is the processing time.
    """

    path: Path
    row: TestVideo
    probability: float
    tracks: list[TrackScores]
    crops: list[Crop]
    store: Store | None
    seconds: float

    def frames_used(self) -> int:
        """The number of distinct frames scored by at least one model."""
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
    """Score videos with an ensemble; results are yielded as soon as they are ready, so the order may differ.

    The scores equal those of the workflow with the same settings. ``workers`` processes decode (and, without a GPU,
    detect), and as many threads prepare faces for the networks. ``folder`` is for temporary files, which are deleted:
    the faces of the videos that are worked on (up to ``workers``), that wait (a few), and that is scored. A video that
    cannot be read, makes no progress for ``video_timeout`` seconds or crashes a worker gets the score
    ``settings.ensemble.unknown``. Raises UserError if weights do not fit the model, or if GPU memory is too small.
    """
    scorers = [(member, _scorer(member, folder, device, settings.precision)) for member in members]
    ended = threading.Event()
    extracted = _extract(paths, settings, device, workers, batch_size, video_timeout, folder, ended)
    with contextlib.closing(ahead(extracted, AHEAD, ended)) as videos:
        for video in videos:
            yield _score(video, scorers, settings.ensemble, workers)
            video.store.unlink(missing_ok=True)


def _scorer(member: Member, folder: Path, device: torch.device, precision: Precision) -> Scorer:
    """Load weights as the workflow does, which first exports them and so rounds them to half precision."""
    exported = folder / "weights.safetensors"
    export_weights(member.path, member.name, member.model, exported)
    scorer = Scorer(exported, device, precision)
    exported.unlink()
    return scorer


@dataclass(frozen=True)
class _Video:
    """A video to process: its number, its path and, if they were detected on a GPU, its faces."""

    number: int
    path: Path
    faces: VideoFaces | None = None


@dataclass(frozen=True)
class _Extracted:
    """The tracks and crops of a video; the pictures of the crops are in ``store``."""

    path: Path
    row: TestVideo
    store: Path
    tracks: list[Track] = field(default_factory=list)
    crops: list[Crop] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class _Extractor:
    """The task of a worker: detect faces (unless that was done on a GPU), track and crop them."""

    settings: ScoringSettings
    folder: Path
    detects: bool

    def store(self, video: _Video) -> Path:
        return self.folder / f"{video.number}.arrow"

    def prepare(self) -> Callable[[_Video], _Extracted]:
        detector = build_detector(self.settings.detection, "cpu", 1) if self.detects else None
        return lambda video: self.extract(video, detector)

    def extract(self, video: _Video, detector: Detector | None) -> _Extracted:
        begun = time.monotonic()
        settings, every = self.settings, self.settings.detection.every
        faces = video.faces or detect_video(video.path, detector, every, settings.fps, settings.max_pixels)
        row = faces.row
        tracks = track_video(faces.detections(), row.frames, row.step * every, settings.tracking, row.step)
        crops: list[Crop] = []
        if tracks:
            try:
                crops, reason = crop_video(video.path, tracks, row, self.store(video), settings.crops)
            except (OSError, UserError) as error:  # no room for its faces; there may be some for those of others
                reason = f"its faces could not be kept: {error}"
            row = replace(row, status="unreadable", reason=reason) if reason else row
        return _Extracted(video.path, row, self.store(video), tracks, crops, time.monotonic() - begun)


def _extract(
    paths: Sequence[Path],
    settings: ScoringSettings,
    device: torch.device,
    workers: int,
    batch_size: int,
    limit: float | None,
    folder: Path,
    ended: threading.Event,
) -> Generator[_Extracted, None, None]:
    """Extract the tracks and crops of all videos in worker processes; yields each as soon as it is ready.

    Soon after ``ended`` is set, the results end.
    """
    videos: Iterator[_Video] = (_Video(number, path) for number, path in enumerate(paths))
    on_gpu = device.type == "cuda" and settings.detection.detector != "yunet"
    with contextlib.ExitStack() as closed_at_the_end:
        if on_gpu:
            detector = build_detector(settings.detection, str(device), batch_size)
            detected = detect_in_batches(
                paths,
                detector,
                settings.detection.every,
                settings.fps,
                workers,
                batch_size,
                limit,
                settings.max_pixels,
                ended,
            )
            detected = closed_at_the_end.enter_context(contextlib.closing(ahead(detected, AHEAD, ended)))
            videos = (
                _Video(number, path, faces) for number, (path, faces) in enumerate(zip(paths, detected, strict=True))
            )
            workers = max(workers // 4, 1)  # the other cores decode for the detector
        extractor = _Extractor(settings, folder, detects=not on_gpu)
        events = work_on(extractor.prepare, videos, workers, limit, ended)
        for event in closed_at_the_end.enter_context(contextlib.closing(events)):
            if event.kind is Kind.ERROR:
                raise event.value
            if event.kind is Kind.FAILURE:
                row = unreadable(event.item.path, settings.fps, event.value).row
                yield _Extracted(event.item.path, row, extractor.store(event.item), seconds=event.seconds)
            else:
                yield event.value


def _score(
    extracted: _Extracted, scorers: Sequence[tuple[Member, Scorer]], settings: EnsembleSettings, workers: int
) -> VideoScore:
    begun = time.monotonic()
    store = Store(extracted.store, mapped=False) if extracted.crops else None
    of_track: dict[int, dict[str, tuple[list[int], list[float]]]] = {}
    probabilities: list[float] = []
    for member, scorer in scorers:
        for face in score(extracted.crops, store, scorer, workers=workers, **member.model["score"]):
            frames, of_model = of_track.setdefault(face.track, {}).setdefault(member.name, ([], []))
            frames.append(face.frame)
            of_model.append(face.probability)
            probabilities.append(face.probability)
    tracks = [
        TrackScores(
            track,
            {name: (np.array(frames), np.array(values)) for name, (frames, values) in of_track[track.number].items()},
        )
        for track in extracted.tracks
        if track.number in of_track
    ]
    row = extracted.row
    if not tracks and row.status == "ok":
        row = replace(row, status="no track", reason="no face was followed for long enough")
    return VideoScore(
        extracted.path,
        row,
        combine(np.array(probabilities), settings),
        tracks,
        extracted.crops,
        store,
        extracted.seconds + time.monotonic() - begun,
    )
