"""Contact sheets of the training data: clips, mixup samples, and the inputs of each model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from dfdc.data.schemas.pairs import VARIANTS, Pair, Variant
from dfdc.data.seeding import generator
from dfdc.data.tables import read_table, rows_of
from dfdc.figures.pictures import Row, write_sheet
from dfdc.figures.style import thousands
from dfdc.networks.inputs import center_transform, denormalise, normalise
from dfdc.stages.clips.reading import PairReader
from dfdc.stages.training.augment.erasing import erase_
from dfdc.stages.training.augment.mixup import mix
from dfdc.stages.training.augment.pair import draw_erasing_noise
from dfdc.stages.training.samples import PairDataset, Place, SampleSettings
from dfdc.video.recompression import Recompression

TARGETS = (0.0, 0.25, 0.5, 0.75, 1.0)
CLIPS, MIXED, AUGMENTED, INPUTS, VARIANTS_SHOWN = 8, 4, 8, 6, 3  # pairs on each sheet
HEIGHT = 150  # of a face on a sheet, in pixels


class Samples:
    """A random selection of clip pairs, from different real videos as far as possible."""

    def __init__(self, pairs: pa.Table, stores: Mapping[str, Path], seed: int = 0) -> None:
        """Draw from the table of pairs; ``stores`` gives the store of each part."""
        self.total, self.stores = len(pairs), stores
        order = generator(seed, "figures").permutation(len(pairs))
        candidates = rows_of(pairs.take(order[: 100 * CLIPS]), Pair)
        seen: set[tuple[str, str]] = set()
        first: list[Pair] = []
        others: list[Pair] = []
        for pair in candidates:
            source = pair.part, pair.real
            (others if source in seen else first).append(pair)
            seen.add(source)
        self.pairs = [*first, *others][:CLIPS]

    def words(self, count: int) -> str:
        """The title text: how many pairs are shown, out of how many."""
        shown = min(count, len(self.pairs))
        return f"{shown} of {thousands(self.total)} pairs, drawn at random" if self.total else "no pairs"

    def faces(self, count: int, frames: Sequence[int], settings: SampleSettings) -> list[tuple[Pair, list, list]]:
        """Up to ``count`` pairs, each with the given frames of its real and its fake clip, without augmentation."""
        if not self.pairs:
            return []
        reader = PairReader(self.pairs, self.stores, replace(settings, frames=tuple(frames), whole_clip=True))
        return [(pair, *reader.read(number, None)) for number, pair in enumerate(self.pairs[:count])]

    def recompressed(
        self, pair: Pair, draw: Recompression | None, settings: SampleSettings
    ) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
        """The first frame that a model takes, of the real and the fake clip of a pair; None: as cut."""
        reading = replace(settings.reading, frames=settings.frames[:1])
        return PairReader([pair], self.stores, reading).read(0, draw)


def plot_clips(path: str | Path, samples: Samples, settings: SampleSettings) -> None:
    """Real clips and their fakes side by side, three frames each."""
    rows = [
        Row([*real, *fake], _caption(pair), ["real", "", "", "fake", "", ""], second=len(real))
        for pair, real, fake in samples.faces(CLIPS, _spread(3, samples.pairs), settings)
    ]
    write_sheet(path, f"Clips: {samples.words(CLIPS)}", rows, HEIGHT)


def plot_clip(path: str | Path, samples: Samples, settings: SampleSettings) -> None:
    """One clip of a real video and its fake, frame by frame."""
    frames = _spread(10, samples.pairs[:1])
    captions = [f"frame {frame}" for frame in frames]
    rows = []
    for pair, real, fake in samples.faces(1, frames, settings):
        rows += [Row(real, f"{pair.real} (real)", captions), Row(fake, f"{pair.fake} (fake)", captions)]
    length = samples.pairs[0].frames if samples.pairs else 0
    write_sheet(path, f"A clip: {len(frames)} of its {length} frames; {samples.words(1)}", rows, 130)


def plot_mixup(path: str | Path, samples: Samples, model: str, settings: SampleSettings) -> None:
    """Mixup of real faces with their fakes, for increasing targets."""
    rows = []
    for pair, real, fake in samples.faces(MIXED, settings.frames[:1], settings):
        faces = [center_transform(frame, settings.crop)[np.newaxis] for frame in (real[0], fake[0])]
        rows.append(Row(list(denormalise(_mixtures(*faces))), _caption(pair), _targets()))
    write_sheet(path, f"Mixup, for {model}: {samples.words(MIXED)}", rows, HEIGHT)


def plot_augmented_mixup(path: str | Path, samples: Samples, model: str, settings: SampleSettings) -> None:
    """Mixup with recompression, crops, flips, AutoAugment and random erasing, drawn as in training."""
    rows = []
    if samples.pairs:
        dataset = PairDataset(samples.pairs, samples.stores, settings)
        for number, pair in enumerate(samples.pairs[:AUGMENTED]):
            sample = dataset[Place(1, number, number)]
            erasings = sample.erasings[:1] * len(TARGETS)
            noise = torch.from_numpy(draw_erasing_noise(erasings, TARGETS, settings.seed, 1, number))
            mixtures = erase_(_mixtures(sample.real[:1], sample.fake[:1]), erasings, noise)
            rows.append(Row(list(denormalise(mixtures)), _caption(pair), _targets()))
    write_sheet(path, f"Augmented and mixed, for {model}: {samples.words(AUGMENTED)}", rows, HEIGHT)


def plot_variants(path: str | Path, samples: Samples, settings: SampleSettings, variants: Mapping[str, Path]) -> None:
    """A face as cut and in up to four recompressed variants, with their parameters.

    ``variants`` gives the table of each part. Drawn from the parameters again: the stores of streams are not needed.
    """
    rows = []
    for pair in [pair for pair in samples.pairs if pair.split == "train"][:VARIANTS_SHOWN]:
        found = read_table(variants[pair.part], VARIANTS)
        of_pair = found.filter((pc.field("fake") == pair.fake) & (pc.field("fake_clip") == pair.fake_clip))
        drawn = [row for row in rows_of(of_pair, Variant) if row.status == "ok"][:4]
        draws = [None, *(Recompression(row.fps, row.scale, row.crf, row.tune) for row in drawn)]
        words = [f"{row.fps}/s, {row.scale:.2f}, {row.crf}, {row.tune}" for row in drawn]
        faces = [samples.recompressed(pair, draw, settings) for draw in draws]
        rows.append(Row([real[0] for real, _ in faces], _caption(pair), ["real, as cut", *words]))
        rows.append(Row([fake[0] for _, fake in faces], "", ["fake, as cut", *words]))
    title = "Recompressed variants (frames a second, factor on both sides, CRF, tune)"
    write_sheet(path, f"{title}: {samples.words(VARIANTS_SHOWN)}", rows, 320)


def plot_frame_inputs(path: str | Path, samples: Samples, models: Mapping[str, SampleSettings]) -> None:
    """The same faces as inputs of each frame model."""
    first = next(iter(models.values()))
    rows = [Row([], "; ".join(f"{name}: {_size(model)}" for name, model in models.items()))]
    for pair, real, fake in samples.faces(INPUTS, first.frames[:1], first):
        pictures = [center_transform(face[0], model.crop) for model in models.values() for face in (real, fake)]
        rows.append(
            Row(pictures, _caption(pair), [f"{name}, {label}" for name in models for label in ("real", "fake")])
        )
    write_sheet(path, f"Inputs: {samples.words(INPUTS)}", rows, HEIGHT + 40)


def plot_sequence_input(path: str | Path, samples: Samples, models: Mapping[str, SampleSettings]) -> None:
    """The frames of a clip and of its fake as inputs of each sequence model."""
    sizes = (f"{name}: {len(model.frames)} frames of {_size(model)}" for name, model in models.items())
    rows = [Row([], "; ".join(sizes))]
    for name, model in models.items():
        captions = [f"frame {frame}" for frame in model.frames]
        for _, real, fake in samples.faces(1, model.frames, model):
            for label, frames in (("real", real), ("fake", fake)):
                pictures = [center_transform(frame, model.crop) for frame in frames]
                rows.append(Row(pictures, f"{name}, {label}", captions))
    write_sheet(path, f"Input: {samples.words(1)}", rows, HEIGHT + 20)


def _mixtures(real: np.ndarray, fake: np.ndarray) -> torch.Tensor:
    """One real face and its fake, 1 x height x width x 3 each, normalised and mixed for each target."""
    pair = [normalise(torch.from_numpy(face)).expand(len(TARGETS), -1, -1, -1) for face in (real, fake)]
    return mix(*pair, torch.tensor(TARGETS))


def _targets() -> list[str]:
    return [f"target {target:g}" for target in TARGETS]


def _caption(pair: Pair) -> str:
    return f"{pair.part}: {pair.real}, fake {pair.fake}, difference {pair.difference:.1f}"


def _spread(count: int, pairs: Sequence[Pair]) -> list[int]:
    """``count`` frame numbers, evenly spaced over the frames that all pairs have."""
    last = min((pair.frames for pair in pairs), default=1) - 1
    return np.linspace(0, last, count).astype(int).tolist()


def _size(settings: SampleSettings) -> str:
    return f"{settings.crop.width} x {settings.crop.height} pixels"
