"""Training samples: aligned pairs of clips, recompressed, transformed, ready to be mixed.

Everything random about a sample is a function of (seed, iteration, slot), and the pair in a slot of
(seed, epoch): the number of worker processes and where a training was resumed make no difference.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from dfdc.augment import AugmentSettings, CropPolicy, draw_erasings, draw_targets, transform_pair
from dfdc.augment.erasing import ErasingDraw
from dfdc.draws import generator
from dfdc.parallel import signals_held
from dfdc.recompression import RecompressionSettings, draw_recompression, frame_index, recompress
from dfdc.store import Store


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


class PairDataset(Dataset):
    """Samples by place. ``pairs`` are rows of the table of pairs, ``stores`` the store of each part."""

    def __init__(
        self, pairs: Sequence[Mapping[str, Any]], stores: Mapping[str, Path], settings: SampleSettings
    ) -> None:
        """Map the stores. Raises UserError if one is missing or is not a store."""
        self.pairs = pairs
        self.stores = {part: Store(path) for part, path in stores.items()}
        self.settings = settings

    def __getitem__(self, place: Place) -> Sample:
        """Read, recompress and transform the pair at a place."""
        settings = self.settings
        where = (settings.seed, place.iteration, place.slot)
        real, fake = self._faces(place)
        real_faces, fake_faces = transform_pair(real, fake, settings.kind, settings.crop, settings.augment, *where)
        return Sample(
            place,
            real_faces,
            fake_faces,
            draw_targets(settings.kind, len(settings.frames), settings.mixup_alpha, *where),
            draw_erasings(settings.kind, len(settings.frames), settings.crop, settings.augment, *where),
        )

    def _faces(self, place: Place) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The frames of the real and of the fake clip that the model takes, recompressed or as they are."""
        settings, pair = self.settings, self.pairs[place.pair]
        draw = generator(settings.seed, "recompression", place.iteration, place.slot)
        recompression = draw_recompression(draw, settings.recompression)
        store = self.stores[pair["part"]]
        # Where one clip is shorter than its twin, both are read as far as both go.
        length = pair["frames"] if settings.whole_clip else min(pair["frames"], max(settings.frames) + 1)
        faces = []
        for clip in (pair["real_clip"], pair["fake_clip"]):
            if recompression is None:
                faces.append(store.read(clip, [min(index, length - 1) for index in settings.frames]))
            else:
                frames = np.stack(store.read(clip, range(length)))
                decoded = recompress(frames, recompression, settings.recompression)
                faces.append([decoded[frame_index(index, length, len(decoded))] for index in settings.frames])
        return faces[0], faces[1]


class Schedule(Sampler):
    """The places of each batch, from iteration ``first`` to ``last``: shuffled pairs, the rest of an epoch dropped."""

    def __init__(self, pairs: int, batch_pairs: int, seed: int, first: int, last: int) -> None:
        """``pairs`` is the number of pairs that there are, ``batch_pairs`` how many a batch takes."""
        self.pairs, self.batch_pairs, self.seed, self.first, self.last = pairs, batch_pairs, seed, first, last

    def __len__(self) -> int:
        """The number of batches."""
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[list[Place]]:
        """The batches, each a list of places."""
        batches = self.pairs // self.batch_pairs

        @cache
        def order(epoch: int) -> np.ndarray:
            return generator(self.seed, "order", epoch).permutation(self.pairs)

        for iteration in range(self.first, self.last + 1):
            epoch, batch = divmod(iteration - 1, batches)
            chosen = order(epoch)[batch * self.batch_pairs : (batch + 1) * self.batch_pairs]
            yield [Place(iteration, slot, int(pair)) for slot, pair in enumerate(chosen)]


def batches(dataset: PairDataset, schedule: Schedule, workers: int, pin_memory: bool = False) -> Iterator[Batch]:
    """The batches of a schedule in order, loaded by ``workers`` processes (0: by this one)."""
    loader = DataLoader(
        dataset,
        batch_sampler=schedule,
        num_workers=workers,
        collate_fn=_put_together,
        pin_memory=pin_memory,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_start_worker,
        prefetch_factor=4 if workers else None,
    )
    with signals_held():  # the trainer decides when its workers end
        loaded = iter(loader)
    yield from loaded


def _put_together(samples: list[Sample]) -> Batch:
    return Batch(
        iteration=samples[0].place.iteration,
        pairs=[sample.place.pair for sample in samples],
        real=torch.from_numpy(np.concatenate([sample.real for sample in samples])),
        fake=torch.from_numpy(np.concatenate([sample.fake for sample in samples])),
        targets=torch.from_numpy(np.concatenate([sample.targets for sample in samples]).astype(np.float32)),
        erasings=[erasing for sample in samples for erasing in sample.erasings],
    )


def _start_worker(_: int) -> None:
    # One worker per core: threads inside the workers would only get into each other's way.
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
