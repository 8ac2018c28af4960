"""Training samples: aligned pairs of clips, recompressed and augmented, ready for mixup.

All random draws of a sample depend only on (seed, iteration, slot), and the order of pairs only on (seed, epoch), so
samples do not depend on the number of workers or GPUs, nor on where a training was resumed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from dfdc.data.schemas.pairs import Pair
from dfdc.data.seeding import generator
from dfdc.networks.settings import CropPolicy
from dfdc.stages.clips.reading import PairReader, ReadSettings
from dfdc.stages.clips.variants import VariantReader
from dfdc.stages.training.augment.erasing import ErasingDraw
from dfdc.stages.training.augment.pair import draw_erasing_noise, draw_erasings, draw_targets, transform_pair
from dfdc.stages.training.augment.settings import AugmentSettings
from dfdc.video.recompression import draw_recompression
from dfdc.video.settings import RecompressionSettings


@dataclass(frozen=True)
class SampleSettings:
    """Settings of training samples.

    ``frames``: the frames taken from each clip; ``draw_frames``: draw others in training; ``whole_clip``: recompress
    the whole clip, as published, or only up to the last frame taken; ``seed``: of all random draws.
    """

    kind: str
    frames: tuple[int, ...]
    whole_clip: bool
    crop: CropPolicy
    augment: AugmentSettings
    recompression: RecompressionSettings
    mixup_alpha: float
    seed: int
    draw_frames: bool = False

    @property
    def reading(self) -> ReadSettings:
        """How the clips of a pair are read for a sample."""
        return ReadSettings(self.frames, self.whole_clip, self.recompression)

    @classmethod
    def of(cls, model: Mapping[str, Any], training: Mapping[str, Any]) -> "SampleSettings":
        """The settings of a model, from its section and the section ``training`` of the config."""
        recompression = dict(training["recompression"])
        whole_clip = recompression.pop("whole_clip")
        del recompression["variants"]  # whether they are used is seen from the data
        return cls(
            kind=model["kind"],
            frames=tuple(model["frames"]),
            whole_clip=whole_clip,
            crop=CropPolicy(**model["crop"]),
            augment=AugmentSettings(training["flip"], training["autoaugment"], model["erasing"]),
            recompression=RecompressionSettings(**recompression),
            mixup_alpha=training["mixup_alpha"],
            seed=model["seed"],
            draw_frames=model["draw_frames"],
        )


@dataclass(frozen=True)
class Place:
    """The position of a sample: iteration (from 1), slot in the batch (from 0), and the index of its pair."""

    iteration: int
    slot: int
    pair: int


@dataclass
class Sample:
    """One pair: faces as F x height x width x 3 uint8, F mixup targets (the weight of the fake), F erasing draws.

    ``noise``: of all erasings, one after the other, float32.
    """

    place: Place
    real: np.ndarray
    fake: np.ndarray
    targets: np.ndarray
    erasings: list[ErasingDraw | None]
    noise: np.ndarray


@dataclass
class Batch:
    """A batch of samples: N = pairs x frames pictures, N x height x width x 3 uint8, N targets and erasing draws.

    ``noise``: of all erasings, one after the other, float32.
    """

    iteration: int
    pairs: list[int]
    real: torch.Tensor
    fake: torch.Tensor
    targets: torch.Tensor
    erasings: list[ErasingDraw | None]
    noise: torch.Tensor

    def pin_memory(self) -> "Batch":
        """The batch in pinned memory, for asynchronous copies to a GPU (called by the data loader)."""
        return self._moved(torch.Tensor.pin_memory)

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device, without waiting for the copies if it is in pinned memory."""
        return self._moved(lambda tensor: tensor.to(device, non_blocking=True))

    def _moved(self, move: Callable[[torch.Tensor], torch.Tensor]) -> "Batch":
        tensors = {name: move(getattr(self, name)) for name in ("real", "fake", "targets", "noise")}
        return replace(self, **tensors)

    def split(self, pieces: int) -> Iterator["Batch"]:
        """Split the batch into pieces of whole pairs of nearly equal size."""
        frames = len(self.targets) // len(self.pairs)
        noise = np.cumsum([0, *(draw.values if draw else 0 for draw in self.erasings)])
        for pairs in np.array_split(np.arange(len(self.pairs)), pieces):
            pictures = slice(pairs[0] * frames, (pairs[-1] + 1) * frames)
            yield Batch(
                self.iteration,
                self.pairs[pairs[0] : pairs[-1] + 1],
                *(tensor[pictures] for tensor in (self.real, self.fake, self.targets)),
                self.erasings[pictures],
                self.noise[noise[pictures.start] : noise[pictures.stop]],
            )


class PairDataset(Dataset):
    """Training samples, indexed by place. ``stores`` gives the store of each part.

    Pairs are recompressed on the fly, or, with ``variants``, taken from the variants that were recompressed before: the
    n-th recompressed visit of a pair takes the n-th in the order drawn for the seed, and so on in turn.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        stores: Mapping[str, Path],
        settings: SampleSettings,
        variants: VariantReader | None = None,
        batch_pairs: int = 1,
    ) -> None:
        """Memory-map the stores; ``batch_pairs`` only matters for variants.

        Raises UserError if a store is missing or invalid.
        """
        self.reader = PairReader(pairs, stores, settings.reading)
        self.settings, self.variants = settings, variants
        self._visits = Visits(len(pairs), batch_pairs, settings.seed, settings.recompression.probability)

    def __getitem__(self, place: Place) -> Sample:
        """Read, recompress and transform the pair at a place."""
        settings = self.settings
        where = (settings.seed, place.iteration, place.slot)
        real, fake = self._frames(place)
        real_faces, fake_faces = transform_pair(real, fake, settings.kind, settings.crop, settings.augment, *where)
        targets = draw_targets(settings.kind, len(settings.frames), settings.mixup_alpha, *where)
        erasings = draw_erasings(settings.kind, len(settings.frames), settings.crop, settings.augment, *where)
        noise = draw_erasing_noise(erasings, targets, *where)
        return Sample(place, real_faces, fake_faces, targets, erasings, noise)

    def _frames(self, place: Place) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
        """The frames of the real and the fake clip, as cut or recompressed."""
        settings, variants, frames = self.settings, self.variants, self.settings.frames
        where = (settings.seed, place.iteration, place.slot)
        if settings.draw_frames:
            frames = drawn_frames(settings.kind, frames, self.reader.length(place.pair), *where)
        if variants is None:
            draw = draw_recompression(generator(settings.seed, "recompression", *where[1:]), settings.recompression)
            return self.reader.read(place.pair, draw, frames)
        visit = self._visits.number(place)
        if visit is None or not variants.count(place.pair):
            return self.reader.read(place.pair, None, frames)
        return variants.read(place.pair, variants.choose(place.pair, visit, settings.seed), frames)


def drawn_frames(
    kind: str, frames: Sequence[int], length: int, seed: int, iteration: int, slot: int
) -> tuple[int, ...]:
    """Frames drawn from clips of ``length`` frames, in place of ``frames``.

    For a frame model as many different ones, in order; for a sequence model the same window at a random place. If the
    clips are too short, those of ``frames``, or the window at their start.
    """
    draw = generator(seed, "frames", iteration, slot)
    if kind == "sequence":
        start = int(draw.integers(max(length - (max(frames) - min(frames)), 1)))
        return tuple(frame - min(frames) + start for frame in frames)
    if length < len(frames):
        return tuple(frames)
    return tuple(sorted(draw.choice(length, len(frames), replace=False).tolist()))


class Visits:
    """Which visits of a pair take a recompressed variant, and how many of them came before.

    Whether one does is drawn for each epoch and pair.
    """

    def __init__(self, pairs: int, batch_pairs: int, seed: int, probability: float) -> None:
        """``pairs`` is the number of pairs, ``batch_pairs`` the number in a batch."""
        self.pairs, self.batches = pairs, max(pairs // batch_pairs, 1)
        self.batch_pairs, self.seed, self.probability = batch_pairs, seed, probability
        self._start()

    def _start(self) -> None:
        self._epoch, self._before = 0, np.zeros(self.pairs, np.int32)
        self._drawn = self._draw()

    def number(self, place: Place) -> int | None:
        """The number, from 0, of a visit among the recompressed ones of its pair; None if it is not recompressed."""
        epoch = (place.iteration - 1) // self.batches
        if epoch < self._epoch:
            self._start()
        while self._epoch < epoch:
            visited = _order(self.pairs, self.seed, self._epoch)[: self.batches * self.batch_pairs]
            self._before[visited] += self._drawn[visited]
            self._epoch += 1
            self._drawn = self._draw()
        return int(self._before[place.pair]) if self._drawn[place.pair] else None

    def _draw(self) -> np.ndarray:
        """Whether the visit of each pair in the current epoch is recompressed."""
        return generator(self.seed, "recompressed visits", self._epoch).random(self.pairs) < self.probability


def _order(pairs: int, seed: int, epoch: int) -> np.ndarray:
    """The order of the pairs in an epoch."""
    return generator(seed, "order", epoch).permutation(pairs)


class Schedule(Sampler):
    """The places of each batch from iteration ``first`` to ``last``; pairs are shuffled, incomplete batches dropped.

    With several GPUs, rank ``rank`` of ``ranks`` takes every ``ranks``-th slot of each batch.
    """

    def __init__(
        self, pairs: int, batch_pairs: int, seed: int, first: int, last: int, rank: int = 0, ranks: int = 1
    ) -> None:
        """``pairs`` is the number of pairs, ``batch_pairs`` the number in a batch."""
        self.pairs, self.batch_pairs, self.seed, self.first, self.last = pairs, batch_pairs, seed, first, last
        self.rank, self.ranks = rank, ranks
        self._shuffled: tuple[int, np.ndarray] | None = None  # the last requested epoch and its order

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
            self._shuffled = epoch, _order(self.pairs, self.seed, epoch)
        return self._shuffled[1]
