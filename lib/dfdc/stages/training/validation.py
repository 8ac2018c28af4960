"""Validation during training, on clips of source videos that do not appear in training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from dfdc.data.schemas.pairs import Pair
from dfdc.data.schemas.training import Measurement
from dfdc.data.seeding import generator
from dfdc.networks.inputs import center_transform, normalise
from dfdc.networks.precision import autocast
from dfdc.networks.settings import CropPolicy
from dfdc.stages.clips.reading import PairReader, load_in_order, pair_name
from dfdc.stages.evaluation.metrics import auc, log_loss
from dfdc.stages.training.samples import SampleSettings
from dfdc.video.recompression import Recompression, draw_recompression

# Clips per batch.
BATCH = 8


@dataclass(frozen=True)
class ValidationSet:
    """Clips preprocessed as in prediction: F x height x width x 3 uint8 arrays, the real clip of each pair first.

    ``clips`` has the same clips as cut ("plain") and recompressed ("recompressed").
    """

    clips: Mapping[str, Sequence[np.ndarray]]

    @property
    def labels(self) -> np.ndarray:
        """0 for the real and 1 for the fake clip of each pair."""
        return np.arange(len(self.clips["plain"])) % 2


def load_validation(
    pairs: Sequence[Pair], stores: Mapping[str, Path], settings: SampleSettings, workers: int
) -> ValidationSet:
    """Read the clips of some pairs, resized and cropped as in prediction, with and without recompression.

    Each pair has its own recompression, drawn from the ranges used in training (regardless of their probability) and
    the same for all models and iterations. All clips are kept in memory: 0.8 GB for 200 pairs of the published size.
    """
    always = replace(settings.recompression, probability=1.0)
    draws = [draw_recompression(generator(0, "validation recompression", *pair_name(pair)), always) for pair in pairs]
    items = [(number, None) for number in range(len(pairs))] + list(enumerate(draws))
    dataset = _Clips(PairReader(pairs, stores, settings.reading), settings.crop, items)
    clips = [clip for pair in load_in_order(dataset, workers if workers > 1 else 0) for clip in pair]
    return ValidationSet({"plain": clips[: 2 * len(pairs)], "recompressed": clips[2 * len(pairs) :]})


def measure_model(
    model: nn.Module, validation: ValidationSet, iteration: int, device: torch.device, precision: str
) -> list[Measurement]:
    """Log loss and AUC of a model after an iteration, on plain and on recompressed clips.

    A clip's score is the mean probability over its frames. The model's training/evaluation mode is restored.
    """
    rows = []
    for clips, pictures in validation.clips.items():
        scores = clip_scores(model, pictures, device, precision)
        labels = validation.labels
        rows.append(Measurement(iteration, clips, len(labels), log_loss(labels, scores), auc(labels, scores)))
    return rows


def clip_scores(model: nn.Module, clips: Sequence[np.ndarray], device: torch.device, precision: str) -> np.ndarray:
    """The score of each clip, F x height x width x 3 uint8: the mean probability over its frames."""
    training, probabilities = model.training, []
    model.eval()
    with torch.inference_mode(), autocast(device, precision):
        for first in range(0, len(clips), BATCH):
            pictures = np.concatenate(clips[first : first + BATCH])
            logits = model(normalise(torch.from_numpy(pictures).to(device), model.normalisation))
            probabilities.append(torch.sigmoid(logits.float()).view(-1, len(clips[0])).mean(1).cpu())
    model.train(training)
    return torch.cat(probabilities).numpy()


@dataclass(frozen=True)
class _Clips(Dataset):
    """The clips of pairs, resized and cropped; ``items`` are pair numbers and recompression draws (None: plain)."""

    reader: PairReader
    crop: CropPolicy
    items: Sequence[tuple[int, Recompression | None]]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> list[np.ndarray]:
        clips = self.reader.read(*self.items[index])
        return [np.stack([center_transform(frame, self.crop) for frame in clip]) for clip in clips]
