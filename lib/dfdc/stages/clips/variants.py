"""Reading recompressed variants of pairs of clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dfdc.data.pictures.store import Store
from dfdc.data.schemas.pairs import VARIANTS, Pair
from dfdc.data.seeding import generator
from dfdc.data.tables import read_table
from dfdc.stages.clips.reading import pair_name
from dfdc.video.recompression import decode_pyav, frame_index, kept_frames


class VariantReader:
    """Reads frames of recompressed variants. Pickled compactly, as a few arrays."""

    def __init__(self, pairs: Sequence[Pair], tables: Mapping[str, Path], stores: Mapping[str, Path]) -> None:
        """Read the tables and open the stores of the parts of some pairs.

        Raises UserError if one is missing or damaged.
        """
        parts = sorted({pair.part for pair in pairs})
        self._stores = [Store(stores[part]) for part in parts]
        self._part_names = parts
        self._fakes = np.array([pair.fake for pair in pairs], np.str_)
        self._clips = np.array([pair.fake_clip for pair in pairs], np.int32)
        number_of = {pair_name(pair): number for number, pair in enumerate(pairs)}
        self._parts = np.array([parts.index(pair.part) for pair in pairs], np.int32)
        columns = ["fake", "fake_clip", "batch", "frames", "fps", "width", "height"]
        found: list[list[tuple[int, ...]]] = [[] for _ in pairs]
        for part in parts:
            rows = read_table(tables[part], VARIANTS).select(columns)
            for fake, clip, batch, *rest in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                number = number_of.get((part, fake, clip))
                if number is not None and batch is not None:
                    found[number].append((batch, *rest))
        # The variants of pair N are the rows from ends[N - 1] to ends[N].
        self._ends = np.cumsum([len(of_pair) for of_pair in found])
        self._rows = np.array([row for of_pair in found for row in of_pair], np.int32).reshape(-1, 5)

    def count(self, pair: int) -> int:
        """The number of variants of a pair; those that could not be encoded do not count."""
        return int(self._ends[pair] - (self._ends[pair - 1] if pair else 0))

    def choose(self, pair: int, visit: int, seed: int) -> int:
        """The variant for a recompressed visit, numbered from 0: all in turn, in an order drawn for each seed."""
        name = self._part_names[self._parts[pair]], str(self._fakes[pair]), int(self._clips[pair])  # see ``pair_name``
        order = generator(seed, "order of variants", *name).permutation(self.count(pair))
        return int(order[visit % len(order)])

    def read(self, pair: int, variant: int, wanted: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The wanted frames of the real and of the fake clip, RGB uint8; indices are those of the clip as cut.

        They equal those of ``recompress`` with the variant's parameters.
        """
        batch, frames, fps, width, height = self._rows[self._ends[pair] - self.count(pair) + variant].tolist()
        decoded = len(kept_frames(frames, fps))
        places = [frame_index(index, frames, decoded) for index in wanted]
        real, fake = self._stores[self._parts[pair]].streams(batch)
        return decode_pyav(real, (width, height), places), decode_pyav(fake, (width, height), places)
