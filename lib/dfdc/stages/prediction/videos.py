"""Scoring videos and images one by one: the test half of the workflow without its intermediate files.

Worker processes detect, track and crop the faces of a video into a temporary file; this process scores them. It does so
in its main thread while other threads keep the workers, and a detector on a GPU, busy with the next videos. Memory use
does not grow with the length of a video.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from dfdc.data.pictures.store import Store
from dfdc.data.schemas.crops import Crop
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TestVideo
from dfdc.networks.weights.export import export_weights
from dfdc.networks.weights.find import Member
from dfdc.stages.prediction.ensemble import combine
from dfdc.stages.prediction.extraction import AHEAD, Extracted, extract_faces
from dfdc.stages.prediction.images import ALL
from dfdc.stages.prediction.scorer import Scorer, score
from dfdc.stages.prediction.scoring_settings import ScoringSettings
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.system.settings import Precision
from dfdc.system.workers.threads import ahead

BIN = 1.0  # seconds; the time resolution of scores over time


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
    """The result of scoring a video, or an image, which counts as a video of one frame that lasts a second.

    ``probability`` is that of being fake. The status in ``row`` can also be ``no track``: faces were detected, but no
    track was long enough for a model; or ``no model``: no model looks at the single faces of an image. ``store`` holds
    the pictures of the crops until the next video is requested; it is None if there are no crops. ``seconds`` is the
    processing time. ``passed_over`` are the models that cannot score an image, because they need consecutive faces.
    """

    path: Path
    row: TestVideo
    probability: float
    tracks: list[TrackScores]
    crops: list[Crop]
    store: Store | None
    seconds: float
    is_image: bool = False
    passed_over: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        """What it is: a video or an image."""
        return "image" if self.is_image else "video"

    def notes(self) -> tuple[str, ...]:
        """What there is to know of a score besides doubts."""
        if not (self.is_image and self.tracks):
            return ()
        words = [f"single images cannot be scored by {' and '.join(self.passed_over)}"] if self.passed_over else []
        return (*words, self.row.reason) if self.row.reason else tuple(words)

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
    """Score videos and images with an ensemble; results are yielded as soon as they are ready, so the order may differ.

    The scores equal those of the workflow with the same settings. ``workers`` processes decode (and, without a GPU,
    detect), and as many threads prepare faces for the networks. ``folder`` is for temporary files, which are deleted:
    the faces of the videos that are worked on (up to ``workers``), that wait (a few), and that is scored. A video that
    cannot be read, makes no progress for ``video_timeout`` seconds or crashes a worker gets the score
    ``settings.ensemble.unknown``. Raises UserError if weights do not fit the model, or if GPU memory is too small.
    """
    scorers = [(member, _scorer(member, folder, device, settings.precision)) for member in members]
    ended = threading.Event()
    gpu = str(device) if device.type == "cuda" else None
    extracted = extract_faces(paths, settings.extraction(), gpu, workers, batch_size, video_timeout, folder, ended)
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


def _score(
    extracted: Extracted, scorers: Sequence[tuple[Member, Scorer]], settings: EnsembleSettings, workers: int
) -> VideoScore:
    begun = time.monotonic()
    store = Store(extracted.store, mapped=False) if extracted.crops else None
    of_track: dict[int, dict[str, tuple[list[int], list[float]]]] = {}
    probabilities: list[float] = []
    for member, scorer in scorers:
        faces = ALL if extracted.is_image else member.model["score"]
        for face in score(extracted.crops, store, scorer, workers=workers, **faces):
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
    if not tracks and row.status == "ok" and extracted.is_image:
        row = replace(row, status="no model", reason="no model scores single faces")
    elif not tracks and row.status == "ok":
        row = replace(row, status="no track", reason="no face was tracked for long enough")
    passed_over = [member.name for member, scorer in scorers if scorer.kind != "frame"] if extracted.is_image else []
    return VideoScore(
        extracted.path,
        row,
        combine(np.array(probabilities), settings),
        tracks,
        extracted.crops,
        store,
        extracted.seconds + time.monotonic() - begun,
        extracted.is_image,
        tuple(passed_over),
    )
