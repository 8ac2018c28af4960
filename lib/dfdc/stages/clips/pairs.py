"""Pairing real and fake clips, and splitting the pairs into training and validation."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from dfdc.data.schemas.clips import Clip
from dfdc.data.schemas.pairs import Pair
from dfdc.data.seeding import generator
from dfdc.stages.clips.differences import clip_key
from dfdc.stages.clips.settings.pairs import ValidationSettings

logger = logging.getLogger(__name__)


def pair_clips(clips: Sequence[Clip], min_difference: float, validation: ValidationSettings) -> list[Pair]:
    """Pair each fake clip with the real clip of the same first frame and box; the clips may be of any number of parts.

    Failed clips are not paired. Pairs whose clips differ by less than ``min_difference``, 0 to 255 (see
    ``differences.difference``), are left out.
    """
    reals = {clip_key(clip): clip for clip in clips if clip.label == "REAL" and clip.frames}
    pairs = [
        Pair(
            part=fake.part,
            real=fake.real,
            fake=fake.fake,
            real_clip=real.clip,
            fake_clip=fake.clip,
            frames=min(real.frames, fake.frames),
            real_sha256=real.sha256,
            fake_sha256=fake.sha256,
            difference=fake.difference,
        )
        for fake in clips
        if fake.label == "FAKE" and fake.frames and (real := reals.get(clip_key(fake)))
    ]
    equal = sum(pair.real_sha256 == pair.fake_sha256 for pair in pairs)
    logger.info(
        f"{len(pairs)} pairs, of which {equal} show the same frames in both clips (only the audio is manipulated)"
    )

    kept = [pair for pair in pairs if pair.difference >= min_difference]
    if min_difference > 0:
        left_out = len(pairs) - len(kept)
        logger.info(f"{left_out} pairs are left out: they differ by less than {min_difference} (pairs.min_difference)")

    split = split_pairs(kept, validation)
    for name in ("train", "validation"):
        sources = [(pair.part, pair.real) for pair in split if pair.split == name]
        logger.info(f"{name}: {len(sources)} pairs of {len(set(sources))} source videos")
    return split


def split_pairs(pairs: Sequence[Pair], settings: ValidationSettings) -> list[Pair]:
    """Assign each pair to a ``split``: train or validation.

    A source video and all its fakes are in the same split, to avoid leakage. Of the n source videos outside
    ``settings.parts``, round(share * n) are used for validation (at least one if the share is not 0, and never all):
    those with the smallest draws from (seed, part, name). Adding or removing a part therefore moves few others.
    """
    sources = {(pair.part, pair.real) for pair in pairs}
    others = [source for source in sources if source[0] not in settings.parts]
    count = max(round(settings.share * len(others)), 1) if settings.share > 0 else 0
    count = min(count, max(len(others) - 1, 0))

    def draw(source: tuple[str, str]) -> tuple:
        return generator(settings.seed, "validation", *source).random(), source

    validation = sources - set(others) | set(sorted(others, key=draw)[:count])
    return [replace(pair, split="validation" if (pair.part, pair.real) in validation else "train") for pair in pairs]
