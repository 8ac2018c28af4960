"""How good a model is, in the middle of its training, on clips of source videos that it is not trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dfdc.augment import center_transform, normalise
from dfdc.dataset import PairReader, SampleSettings
from dfdc.draws import generator
from dfdc.gpus import autocast
from dfdc.metrics import auc, log_loss
from dfdc.parallel import map_in_order
from dfdc.recompression import Recompression, draw_recompression

# Clips that go through the network together.
BATCH = 8


@dataclass(frozen=True)
class ValidationSet:
    """Clips as a model sees them in use: each an F x height x width x 3 uint8 array, the real one of a pair first.

    ``clips`` has the same clips as they were cut ("plain") and recompressed ("recompressed").
    """

    clips: Mapping[str, Sequence[np.ndarray]]

    @property
    def labels(self) -> np.ndarray:
        """0 for the real and 1 for the fake clip of each pair."""
        return np.arange(len(self.clips["plain"])) % 2


def choose_pairs(pairs: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """Up to ``count`` of some rows of the table of pairs, the same ones whatever their order."""
    return sorted(pairs, key=lambda pair: generator(0, "validation choice", *_name(pair)).random())[:count]


def load_validation(
    pairs: Sequence[Mapping[str, Any]], stores: Mapping[str, Path], settings: SampleSettings, workers: int
) -> ValidationSet:
    """Read the clips of some pairs, resized and cropped as in prediction, with and without recompression.

    Every pair is recompressed in a way of its own, drawn from the ranges of the training whatever its probability,
    the same for every model and at every time. All of it is held in memory: for 200 pairs of the published size that
    is 0.8 GB.
    """
    always = replace(settings.recompression, probability=1.0)
    draws = [draw_recompression(generator(0, "validation recompression", *_name(pair)), always) for pair in pairs]
    items = [(number, None) for number in range(len(pairs))] + list(enumerate(draws))
    loader = _Loader(PairReader(pairs, stores, settings))
    clips = [clip for pair in map_in_order(loader.prepare, items, workers) for clip in pair]
    return ValidationSet({"plain": clips[: 2 * len(pairs)], "recompressed": clips[2 * len(pairs) :]})


def measure(
    model: nn.Module, validation: ValidationSet, device: torch.device, precision: str
) -> list[dict[str, float | int | str]]:
    """Log loss and AUC of a model over single clips, plain and recompressed: rows but for the iteration.

    A clip's probability of being fake is the mean over its frames. The model is left in the mode that it was in.
    """
    rows = []
    for clips, pictures in validation.clips.items():
        given = _probabilities(model, pictures, device, precision)
        labels = validation.labels
        rows.append(
            {"clips": clips, "count": len(labels), "log_loss": log_loss(labels, given), "auc": auc(labels, given)}
        )
    return rows


def _probabilities(model: nn.Module, clips: Sequence[np.ndarray], device: torch.device, precision: str) -> np.ndarray:
    training, found = model.training, []
    model.eval()
    with torch.inference_mode(), autocast(device, precision):
        for first in range(0, len(clips), BATCH):
            pictures = np.concatenate(clips[first : first + BATCH])
            logits = model(normalise(torch.from_numpy(pictures).to(device)))
            found.append(torch.sigmoid(logits.float()).view(-1, len(clips[0])).mean(1).cpu())
    model.train(training)
    return torch.cat(found).numpy()


def _name(pair: Mapping[str, Any]) -> tuple[str, str, int]:
    return pair["part"], pair["fake"], pair["fake_clip"]


@dataclass(frozen=True)
class _Loader:
    reader: PairReader

    def prepare(self) -> Callable[[tuple[int, Recompression | None]], list[np.ndarray]]:
        return self._load

    def _load(self, what: tuple[int, Recompression | None]) -> list[np.ndarray]:
        crop = self.reader.settings.crop
        return [np.stack([center_transform(frame, crop) for frame in clip]) for clip in self.reader.read(*what)]
