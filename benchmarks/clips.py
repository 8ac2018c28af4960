"""Clips of real faces on a disk as the workflow writes them, with recompressed variants, for benchmarks of loading."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from faces import FRAMES, Clip

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.pairs import VARIANTS, Pair
from dfdc.data.tables import write_table
from dfdc.stages.clips.recompressing import recompress_clips
from dfdc.stages.clips.variants import VariantReader
from dfdc.video.settings import RecompressionSettings

PART = "part"


def encoded(pair: tuple[Clip, Clip]) -> list[list[bytes]]:
    """The clips of a pair as PNG pictures."""
    return [[encode_png(frame) for frame in clip] for clip in pair]


@dataclass(frozen=True)
class Clips:
    """The clips of a pretended part of ``count`` pairs in a folder."""

    folder: Path
    count: int

    @property
    def rows(self) -> list[Pair]:
        """The pairs, as in results/pairs.parquet."""
        numbers = range(self.count)
        return [Pair(PART, "", str(n), 2 * n, 2 * n + 1, FRAMES, "", "", 1.0, "train") for n in numbers]

    @property
    def stores(self) -> dict[str, Path]:
        """The store of the clips."""
        return {PART: self.folder / "clips.arrow"}

    @property
    def variants(self) -> tuple[dict[str, Path], dict[str, Path]]:
        """The table and the store of the variants."""
        return {PART: self.folder / "variants.parquet"}, {PART: self.folder / "variants.arrow"}

    def write(self, pairs: Iterable[list[list[bytes]]]) -> None:
        """Write the clips; ``pairs`` as by ``encoded``."""
        write_store(self.stores[PART], (clip for pair in pairs for clip in pair))

    def recompress(self, settings: RecompressionSettings, variants: int, seed: int, workers: int) -> None:
        """Write that many variants of each pair."""
        table, streams = (place[PART] for place in self.variants)
        rows = recompress_clips(self.rows, self.stores[PART], streams, settings, variants, seed, workers=workers)
        write_table(table, VARIANTS, rows)

    def reader(self) -> VariantReader:
        """A reader of the variants."""
        return VariantReader(self.rows, *self.variants)
