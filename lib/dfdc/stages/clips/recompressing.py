"""The stage that recompresses clips: each pair of a part in several variants, kept as H.264 streams.

Encoding takes three quarters of a training's loading. Encoded once, before the trainings, the streams only have to be
decoded, and all trainings share them.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dfdc.data.pictures.store import Store
from dfdc.data.pictures.writing import STREAMS, write_store
from dfdc.data.schemas.pairs import Pair, Variant
from dfdc.data.seeding import generator
from dfdc.stages.clips.reading import pair_name
from dfdc.system.progress import progress
from dfdc.system.workers.pool import map_in_order
from dfdc.video.recompression import BACKENDS, Recompression, draw_recompression, kept_frames, scaled_size
from dfdc.video.settings import RecompressionSettings

logger = logging.getLogger(__name__)


def recompress_clips(
    pairs: Sequence[Pair],
    clips: Path,
    store: Path,
    settings: RecompressionSettings,
    variants: int,
    seed: int,
    last: int | None = None,
    workers: int = 1,
    limit: float | None = None,
) -> list[Variant]:
    """Encode the training pairs of a part in ``variants`` variants each; returns the rows of the table.

    ``clips`` is the part's store of clips, ``store`` the file for the streams: a record batch for each variant, with
    the stream of the real and of the fake clip. All frames that both clips have are encoded, or those up to frame
    ``last``. A pair whose clips cannot be encoded has rows with the reason.
    """
    tasks = [_Pair(pair, variants, seed) for pair in pairs if pair.split == "train"]
    encoder = _Encoder(clips, settings, last)
    rows: list[Variant] = []

    def numbered() -> Iterator[list[bytes]]:
        number = 0
        done = map_in_order(encoder.prepare, tasks, workers, limit, encoder.failed)
        for of_pair in progress(done, len(tasks), "pairs"):
            for row, streams in of_pair:
                rows.append(replace(row, batch=number if streams else None))
                if streams:
                    number += 1
                    yield streams

    write_store(store, numbered(), STREAMS)
    failed = [row for row in rows if row.status == "failed"]
    if failed:
        logger.warning(f"{len(failed)} of {len(rows)} variants could not be encoded; the first: {failed[0].reason}")
    return rows


def draw_variant(pair: Pair, variant: int, seed: int, settings: RecompressionSettings) -> Recompression:
    """The parameters of a variant: an independent draw, from the seed, the pair and the number of the variant."""
    draw = generator(seed, "recompressed variant", *pair_name(pair), variant)
    return draw_recompression(draw, replace(settings, probability=1.0))


@dataclass(frozen=True)
class _Pair:
    pair: Pair
    variants: int
    seed: int


_Encoded = tuple[Variant, list[bytes]]


@dataclass(frozen=True)
class _Encoder:
    """Encodes all variants of a pair in a worker process."""

    clips: Path
    settings: RecompressionSettings
    last: int | None

    def prepare(self) -> Callable[[_Pair], list[_Encoded]]:
        store = Store(self.clips)
        return lambda task: [self._encode(store, row) for row in self._rows(task)]

    def failed(self, task: _Pair, reason: str) -> list[_Encoded]:
        """The rows of a pair whose worker crashed or made no progress."""
        return [(replace(row, status="failed", reason=reason), []) for row, _ in self._rows(task)]

    def _rows(self, task: _Pair) -> Iterator[tuple[Variant, Pair]]:
        pair = task.pair
        frames = pair.frames if self.last is None else min(pair.frames, self.last + 1)
        for number in range(task.variants):
            draw = draw_variant(pair, number, task.seed, self.settings)
            yield (
                Variant(
                    *(pair.part, pair.real, pair.fake, pair.fake_clip, number, None, frames),
                    *(draw.fps, draw.scale, draw.crf, draw.tune),
                ),
                pair,
            )

    def _encode(self, store: Store, task: tuple[Variant, Pair]) -> _Encoded:
        row, pair = task
        draw = Recompression(row.fps, row.scale, row.crf, row.tune)
        streams, size = [], (0, 0)
        try:
            for clip in (pair.real_clip, pair.fake_clip):
                frames = store.read(clip, kept_frames(row.frames, row.fps))
                size = scaled_size(frames[0], row.scale)
                streams.append(BACKENDS[self.settings.backend].encode(frames, draw, self.settings))
        except RuntimeError as error:
            return replace(row, status="failed", reason=str(error)), []
        digest = hashlib.sha256(b"".join(streams)).hexdigest()
        length = sum(map(len, streams))
        return replace(row, width=size[0], height=size[1], bytes=length, sha256=digest), streams
