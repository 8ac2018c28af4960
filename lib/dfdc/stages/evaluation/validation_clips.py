"""What a model with finished weights says of validation clips, also when they are compressed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from dfdc.data.pictures.store import Store
from dfdc.data.schemas.pairs import Pair
from dfdc.data.schemas.validation_scores import ValidationScore
from dfdc.stages.clips.reading import load_in_order
from dfdc.stages.prediction.scorer import Scorer
from dfdc.system.errors import UserError
from dfdc.system.progress import progress
from dfdc.video.recompression import Recompression, recompress
from dfdc.video.settings import EncoderSettings

PLAIN = "plain"
# As most videos are made that people send to each other, and not as in training.
ENCODING = EncoderSettings(preset="medium", pixel_format="yuv420p", backend="pyav")
TUNE = "film"


def conditions(recompression: Sequence[Mapping[str, Any]]) -> dict[str, Recompression | None]:
    """The conditions under which clips are scored, by name: plain, then each of a list of fps, scale and CRF."""
    draws = [Recompression(draw["fps"], draw["scale"], draw["crf"], TUNE) for draw in recompression]
    return {PLAIN: None} | {f"fps {draw.fps}, scale {draw.scale:g}, CRF {draw.crf}": draw for draw in draws}


def score_validation_clips(
    pairs: Sequence[Pair],
    stores: Mapping[str, Path],
    scorer: Scorer,
    frames: Sequence[int],
    recompression: Sequence[Mapping[str, Any]],
    workers: int = 1,
) -> list[ValidationScore]:
    """The scores of one model: one for each of ``frames`` of both clips of some pairs.

    ``stores`` is the store of each part. The clips are scored as they were cut
    and compressed again in each way of the list ``recompression``, the frames resized and cropped as in prediction.
    Raises UserError if the weights want another number of frames.
    """
    if scorer.kind == "sequence" and len(frames) != scorer.sequence_length:
        raise UserError(
            f"These weights are for windows of {scorer.sequence_length} frames, but the model's `frames` in the config "
            f"are {len(frames)}. Give it {scorer.sequence_length} frames."
        )
    dataset = Clips(pairs, stores, tuple(frames), tuple(conditions(recompression).items()))
    rows: list[ValidationScore] = []
    loaded = progress(load_in_order(dataset, workers if workers > 1 else 0), len(dataset), "clips")
    for number, (height, of_conditions) in enumerate(loaded):
        pair, label = dataset.clip(number)
        clip = (pair.part, pair.real, pair.fake, label, _clip_of(pair, label), height)
        for condition, pictures in of_conditions.items():
            units = [pictures] if scorer.kind == "sequence" else [[picture] for picture in pictures]
            probabilities = np.concatenate(scorer(units, [False] * len(units)))
            if not np.isfinite(probabilities).all():
                raise UserError(
                    f"The network gives no number for some frames of the clips of {pair.fake} ({pair.part}). Its "
                    "weights are damaged, or too large for half precision: set speed.device to cpu in the config to "
                    "see which."
                )
            rows += (
                ValidationScore(*clip, condition, frame, probability)
                for frame, probability in zip(frames, probabilities.tolist(), strict=True)
            )
    return rows


def _clip_of(pair: Pair, label: str) -> int:
    """The number of the real or of the fake clip of a pair in the store of its part."""
    return pair.real_clip if label == "REAL" else pair.fake_clip


class Clips(Dataset):
    """Both clips of each pair, the real one first. Goes to other processes as the rows of the pairs."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        stores: Mapping[str, Path],
        frames: tuple[int, ...],
        wanted: tuple[tuple[str, Recompression | None], ...],
    ) -> None:
        """Map the stores. Raises UserError if one is missing or is not a store."""
        self._pairs, self._frames, self._wanted = pairs, frames, wanted
        self._stores = {part: Store(stores[part]) for part in sorted({pair.part for pair in pairs})}

    def __len__(self) -> int:
        """The number of clips."""
        return 2 * len(self._pairs)

    def clip(self, index: int) -> tuple[Pair, str]:
        """The pair that a clip is of, and its label."""
        return self._pairs[index // 2], ("REAL", "FAKE")[index % 2]

    def __getitem__(self, index: int) -> tuple[int, dict[str, list[np.ndarray]]]:
        """The height of a clip's pictures, and for each condition the frames that are wanted."""
        pair, label = self.clip(index)
        # Where one clip is shorter than its twin, both are read as far as both go, as in training.
        pictures = self._stores[pair.part].read(_clip_of(pair, label), range(pair.frames))
        found = {}
        for name, draw in self._wanted:
            if draw is None:
                found[name] = [pictures[min(frame, len(pictures) - 1)] for frame in self._frames]
            else:
                found[name] = list(recompress(pictures, draw, ENCODING, self._frames))
        return pictures[0].shape[0], found
