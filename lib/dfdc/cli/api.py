"""Scoring from Python: ``import dfdc; dfdc.score("video.mp4", weights="results/release")``."""

import argparse
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from dfdc.cli.score import about_weights, find_videos, read_settings, read_weights, summary
from dfdc.cli.scoring.outputs import Summary
from dfdc.networks.precision import set_threads
from dfdc.stages.prediction.scoring_settings import ScoringSettings
from dfdc.stages.prediction.verdict import judge, purpose_in_words
from dfdc.stages.prediction.videos import score_videos
from dfdc.system.errors import UserError
from dfdc.system.scratch import temporary_folder
from dfdc.system.workers.processes import available_cores, worker_count

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Scores:
    """What ``dfdc score --json`` writes, and ``warning``, which it prints: for weights made for a demonstration.

    ``models`` has the weights file, the architecture and the provenance of each model; ``limits`` is what no score
    tells.
    """

    detector: str
    limits: str
    models: Mapping[str, Mapping[str, Any]]
    videos: tuple[Summary, ...]
    warning: str = ""


def score(
    videos: PathLike | Sequence[PathLike],
    weights: PathLike | Sequence[PathLike],
    *,
    recursive: bool = False,
    config: PathLike | Sequence[PathLike] = (),
    detector: Literal["yunet"] | None = None,
    device: str | None = None,
    workers: int | None = None,
    timeout: float | None = None,
) -> Scores:
    """Score videos and images: the same as ``dfdc score``, whose options these are. Returns when all are done.

    ``device`` is auto, cpu, or a device of torch, which is used whoever else does; the default is ``speed.device`` of
    the settings. A video that cannot be read is in the result with its status; it raises nothing. The workers are
    processes that import the calling script: it must not call this at its top level, but below ``if __name__ ==
    "__main__"``. Raises UserError if a path, the weights or the settings are not valid.
    """
    if detector not in (None, "yunet"):
        raise UserError(f"There is no detector {detector!r}: name yunet, or none for that of the settings.")
    for name, value in (("workers", workers), ("timeout", timeout)):
        if value is not None and not value > 0:
            raise UserError(f"{name} is {value}, but must be more than 0.")
    options = argparse.Namespace(
        weights=_paths(weights), config=_paths(config), detector=detector, device=None, timeout=timeout
    )
    names = find_videos(_paths(videos), recursive)
    settings = read_settings(options)
    members = read_weights(options, settings)
    scoring, speed = ScoringSettings.of(settings, members), settings["speed"]
    processes = workers or worker_count(speed["workers"], available_cores())
    chosen = _device(device or speed["device"])
    found: dict[Path, Summary] = {}
    with temporary_folder("dfdc-score-") as folder:
        set_threads(chosen, settings["torch_threads"])
        limit = settings["data"]["video_timeout"]
        results = score_videos(list(names), members, scoring, chosen, processes, speed["batch_size"], limit, folder)
        with contextlib.closing(results):
            for video in results:
                found[video.path] = summary(names[video.path], video, scoring, judge(video, members))
    about = about_weights(members, settings)
    return Scores(**about, videos=tuple(found[path] for path in names), warning=purpose_in_words(members))


def _paths(places: PathLike | Sequence[PathLike]) -> list[Path]:
    return [Path(places)] if isinstance(places, str | os.PathLike) else [Path(place) for place in places]


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UserError(f"There is no device {wanted!r}: name auto, cpu or a torch device.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"The device is {wanted}, but torch finds no GPU. Use auto or cpu.")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"torch cannot use the device {wanted}: {error}. Use auto or cpu.") from error
    return device
