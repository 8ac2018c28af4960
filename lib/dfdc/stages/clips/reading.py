"""Reading pairs of clips, with or without recompression, for training, validation and figures."""

import os
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
from dfdc.data.seeding import generator
from dfdc.system.errors import OutOfMemory, UserError
from dfdc.system.workers.pool import LACK_OF_MEMORY
from dfdc.system.workers.processes import signals_held
from dfdc.video.recompression import Recompression, recompress
from dfdc.video.settings import RecompressionSettings


@dataclass(frozen=True)
class ReadSettings:
    """How pairs of clips are read.

    ``frames``: the frames taken from each clip; ``whole_clip``: recompress the whole clip, as published, or only up to
    the last frame taken.
    """

    frames: tuple[int, ...]
    whole_clip: bool
    recompression: RecompressionSettings


class PairReader:
    """Reads the frames of pairs that a model uses. Pickled compactly, as a few integers per pair."""

    def __init__(self, pairs: Sequence[Pair], stores: Mapping[str, Path], settings: ReadSettings) -> None:
        """Memory-map the stores. Raises UserError if one is missing or invalid."""
        parts = sorted({pair.part for pair in pairs})
        self.settings = settings
        self._stores = [Store(stores[part]) for part in parts]
        number = {part: number for number, part in enumerate(parts)}
        columns = [(number[pair.part], pair.real_clip, pair.fake_clip, pair.frames) for pair in pairs]
        self._pairs = np.array(columns, np.int32).reshape(-1, 4)

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self._pairs)

    def length(self, pair: int) -> int:
        """The number of frames that both clips of a pair have."""
        return int(self._pairs[pair, 3])

    def read(
        self, pair: int, recompression: Recompression | None, frames: Sequence[int] | None = None
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Frames of the real and the fake clip of a pair, with the same recompression or none.

        ``frames``: which, instead of those of the settings; beyond the end of a clip its last frame is taken.
        """
        settings, frames = self.settings, frames or self.settings.frames
        part, *clips, common = self._pairs[pair].tolist()
        # Both clips are read only up to the length of the shorter one.
        length = common if settings.whole_clip else min(common, max(frames) + 1)
        faces = []
        for number in clips:
            clip = self._stores[part].clip(number, length)
            if recompression is None:
                faces.append([clip[min(index, length - 1)] for index in frames])
            else:
                faces.append(list(recompress(clip, recompression, settings.recompression, frames)))
        return faces[0], faces[1]


def load_in_order(dataset: Dataset, workers: int) -> Iterator[Any]:
    """The items of a dataset, in order and unbatched, loaded by ``workers`` processes (0: in this process)."""
    return load(workers, dataset, batch_size=None, collate_fn=_identity)


def load(workers: int, dataset: Dataset, **options: Any) -> Iterator[Any]:
    """Load a dataset with ``workers`` processes (0: in this process); options are those of ``DataLoader``.

    Raises UserError like the dataset, and OutOfMemory if a process was killed.
    """
    loader = DataLoader(
        dataset,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_start_worker,
        prefetch_factor=4 if workers else None,
        **options,
    )
    with signals_held():  # the main process decides when its workers end
        loaded = iter(loader)
    try:
        yield from loaded
    except UserError as error:
        # Without the traceback that DataLoader puts before the message of a worker's exception.
        raise UserError(str(error).rpartition(f"{UserError.__module__}.{UserError.__name__}: ")[2].strip()) from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise OutOfMemory(
            f"A process that loads clips has died ({_reason(error)}), {LACK_OF_MEMORY}. Run again with fewer workers "
            "(speed.workers in the config, or fewer cores); training resumes from its last checkpoint."
        ) from error
    finally:
        # Not left to the end of the object, which an exception's traceback may keep alive: at exit Python would wait
        # for the workers, which do not react to its signal.
        if workers:
            loaded._shutdown_workers()


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0].rstrip(". ")


def _start_worker(_: int) -> None:
    # The process that the workers load for, which keeps the network busy, goes first.
    os.nice(10)
    # There is one worker per core: threads inside the workers would only oversubscribe the cores.
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _identity(item: Any) -> Any:
    return item


def choose_pairs(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """A random selection of up to ``count`` pairs that does not depend on their order."""
    return sorted(pairs, key=lambda pair: generator(0, "validation choice", *pair_name(pair)).random())[:count]


def pair_name(pair: Pair) -> tuple[str, str, int]:
    """A unique key of a pair, for seeding its draws."""
    return pair.part, pair.fake, pair.fake_clip
