"""Training samples: aligned pairs of clips, recompressed, transformed, ready to be mixed.

Everything random about a sample is a function of (seed, iteration, slot), and the pair in a slot of
(seed, epoch): the number of worker processes, the number of GPUs and where a training was resumed make no difference.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from dfdc.data.schemas.pairs import Pair
from dfdc.networks.settings import CropPolicy
from dfdc.seeding import generator
from dfdc.stages.clips.reading import PairReader, ReadSettings
from dfdc.stages.training.augment.erasing import ErasingDraw
from dfdc.stages.training.augment.pair import draw_erasings, draw_targets, transform_pair
from dfdc.stages.training.augment.settings import AugmentSettings
from dfdc.video.recompression import draw_recompression
from dfdc.video.settings import RecompressionSettings


@dataclass(frozen=True)
class SampleSettings:
    """How samples are made. ``frames``: which frames of a clip; ``whole_clip``: recompress all of its frames,
    as published, or only as far as the last that is taken; ``seed`` of all draws."""

    kind: str
    frames: tuple[int, ...]
    whole_clip: bool
    crop: CropPolicy
    augment: AugmentSettings
    recompression: RecompressionSettings
    mixup_alpha: float
    seed: int

    @property
    def reading(self) -> ReadSettings:
        """How the clips of a pair are read for a sample."""
        return ReadSettings(self.frames, self.whole_clip, self.recompression)

    @classmethod
    def of(cls, model: Mapping[str, Any], training: Mapping[str, Any]) -> "SampleSettings":
        """Those of a model in the config, with the section ``training`` of the config."""
        recompression = dict(training["recompression"])
        whole_clip = recompression.pop("whole_clip")
        return cls(
            kind=model["kind"],
            frames=tuple(model["frames"]),
            whole_clip=whole_clip,
            crop=CropPolicy(**model["crop"]),
            augment=AugmentSettings(training["flip"], training["autoaugment"], model["erasing"]),
            recompression=RecompressionSettings(**recompression),
            mixup_alpha=training["mixup_alpha"],
            seed=model["seed"],
        )


@dataclass(frozen=True)
class Place:
    """A sample's place in the training: iteration from 1, slot in the batch from 0, and the pair that is there."""

    iteration: int
    slot: int
    pair: int


@dataclass
class Sample:
    """One pair: faces as F x height x width x 3 uint8, F targets (the share of the fake), what is erased."""

    place: Place
    real: np.ndarray
    fake: np.ndarray
    targets: np.ndarray
    erasings: list[ErasingDraw | None]


@dataclass
class Batch:
    """Samples put together: N = pairs x frames pictures, N x height x width x 3 uint8, N targets."""

    iteration: int
    pairs: list[int]
    real: torch.Tensor
    fake: torch.Tensor
    targets: torch.Tensor
    erasings: list[ErasingDraw | None]

    def pin_memory(self) -> "Batch":
        """The batch in memory from which it can travel to a GPU while that computes (the loader calls this)."""
        self.real, self.fake, self.targets = (tensor.pin_memory() for tensor in (self.real, self.fake, self.targets))
        return self

    def split(self, pieces: int) -> Iterator["Batch"]:
        """The batch in pieces of whole pairs, as equal as can be."""
        frames = len(self.targets) // len(self.pairs)
        for pairs in np.array_split(np.arange(len(self.pairs)), pieces):
            pictures = slice(pairs[0] * frames, (pairs[-1] + 1) * frames)
            yield Batch(
                self.iteration,
                self.pairs[pairs[0] : pairs[-1] + 1],
                *(tensor[pictures] for tensor in (self.real, self.fake, self.targets)),
                self.erasings[pictures],
            )


class PairDataset(Dataset):
    """Samples by place. ``stores`` is the store of each part."""

    def __init__(self, pairs: Sequence[Pair], stores: Mapping[str, Path], settings: SampleSettings) -> None:
        """Map the stores. Raises UserError if one is missing or is not a store."""
        self.reader = PairReader(pairs, stores, settings.reading)
        self.settings = settings

    def __getitem__(self, place: Place) -> Sample:
        """Read, recompress and transform the pair at a place."""
        settings = self.settings
        where = (settings.seed, place.iteration, place.slot)
        draw = generator(settings.seed, "recompression", place.iteration, place.slot)
        real, fake = self.reader.read(place.pair, draw_recompression(draw, settings.recompression))
        real_faces, fake_faces = transform_pair(real, fake, settings.kind, settings.crop, settings.augment, *where)
        return Sample(
            place,
            real_faces,
            fake_faces,
            draw_targets(settings.kind, len(settings.frames), settings.mixup_alpha, *where),
            draw_erasings(settings.kind, len(settings.frames), settings.crop, settings.augment, *where),
        )


class Schedule(Sampler):
    """The places of each batch, from iteration ``first`` to ``last``: shuffled pairs, the rest of an epoch dropped.

    One of several GPUs (``rank`` of ``ranks``) takes every ``ranks``-th slot of each batch.
    """

    def __init__(
        self, pairs: int, batch_pairs: int, seed: int, first: int, last: int, rank: int = 0, ranks: int = 1
    ) -> None:
        """``pairs`` is the number of pairs that there are, ``batch_pairs`` how many a batch takes."""
        self.pairs, self.batch_pairs, self.seed, self.first, self.last = pairs, batch_pairs, seed, first, last
        self.rank, self.ranks = rank, ranks
        self._shuffled: tuple[int, np.ndarray] | None = None  # the last epoch asked for, and its order

    def __len__(self) -> int:
        """The number of batches."""
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[list[Place]]:
        """The batches, each a list of places."""
        for iteration in range(self.first, self.last + 1):
            places = [Place(iteration, slot, pair) for slot, pair in enumerate(self.pairs_of(iteration))]
            yield places[self.rank :: self.ranks]

    def pairs_of(self, iteration: int) -> list[int]:
        """The pairs of the whole batch of an iteration, slot by slot."""
        epoch, batch = divmod(iteration - 1, self.pairs // self.batch_pairs)
        return self._order(epoch)[batch * self.batch_pairs : (batch + 1) * self.batch_pairs].tolist()

    def _order(self, epoch: int) -> np.ndarray:
        if self._shuffled is None or self._shuffled[0] != epoch:
            self._shuffled = epoch, generator(self.seed, "order", epoch).permutation(self.pairs)
        return self._shuffled[1]
