"""Reading the clips of pairs, recompressed or as they are: for training, for validation, for figures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from dfdc.data.pictures.store import Store
from dfdc.data.schemas.pairs import Pair
from dfdc.seeding import generator
from dfdc.system.processes import signals_held
from dfdc.video.recompression import Recompression, recompress
from dfdc.video.settings import RecompressionSettings


@dataclass(frozen=True)
class ReadSettings:
    """How the clips of a pair are read: ``frames``: which frames of a clip; ``whole_clip``: recompress all of its
    frames, as published, or only as far as the last that is taken."""

    frames: tuple[int, ...]
    whole_clip: bool
    recompression: RecompressionSettings


class PairReader:
    """Reads the frames of pairs that a model takes. Goes to other processes as a few numbers a pair."""

    def __init__(self, pairs: Sequence[Pair], stores: Mapping[str, Path], settings: ReadSettings) -> None:
        """Map the stores. Raises UserError if one is missing or is not a store."""
        parts = sorted({pair.part for pair in pairs})
        self.settings = settings
        self._stores = [Store(stores[part]) for part in parts]
        number = {part: number for number, part in enumerate(parts)}
        columns = [(number[pair.part], pair.real_clip, pair.fake_clip, pair.frames) for pair in pairs]
        self._pairs = np.array(columns, np.int32).reshape(-1, 4)

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self._pairs)

    def read(self, pair: int, recompression: Recompression | None) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The frames of the real and of the fake clip of a pair, both recompressed alike or both as they are."""
        settings = self.settings
        part, *clips, both = self._pairs[pair].tolist()
        # Where one clip is shorter than its twin, both are read as far as both go.
        length = both if settings.whole_clip else min(both, max(settings.frames) + 1)
        faces = []
        for number in clips:
            clip = self._stores[part].clip(number, length)
            if recompression is None:
                faces.append([clip[min(index, length - 1)] for index in settings.frames])
            else:
                faces.append(list(recompress(clip, recompression, settings.recompression, settings.frames)))
        return faces[0], faces[1]


def load_in_order(dataset: Dataset, workers: int) -> Iterator[Any]:
    """What a dataset holds, as it is, loaded by ``workers`` processes (0: by this one)."""
    return load(workers, dataset, batch_size=None, collate_fn=_as_it_is)


def load(workers: int, dataset: Dataset, **options: Any) -> Iterator[Any]:
    """What a dataset holds, loaded by ``workers`` processes (0: by this one); options are those of ``DataLoader``."""
    loader = DataLoader(
        dataset,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_start_worker,
        prefetch_factor=4 if workers else None,
        **options,
    )
    with signals_held():  # the trainer decides when its workers end
        loaded = iter(loader)
    yield from loaded


def _start_worker(_: int) -> None:
    # One worker per core: threads inside the workers would only get into each other's way.
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _as_it_is(item: Any) -> Any:
    return item


def choose_pairs(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """Up to ``count`` of some pairs, the same ones whatever their order."""
    return sorted(pairs, key=lambda pair: generator(0, "validation choice", *pair_name(pair)).random())[:count]


def pair_name(pair: Pair) -> tuple[str, str, int]:
    """What tells a pair from all others, for draws that are about it."""
    return pair.part, pair.fake, pair.fake_clip
