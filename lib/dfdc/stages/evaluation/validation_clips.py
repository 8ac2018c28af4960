"""Scores of validation clips, plain and recompressed, with exported weights."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from dfdc.data.pictures.store import Store
from dfdc.data.schemas.pairs import Pair
from dfdc.data.schemas.validation_scores import ValidationScore
from dfdc.networks.settings import CropPolicy
from dfdc.stages.clips.reading import load_in_order
from dfdc.stages.prediction.scorer import Scorer, not_finite, prepared
from dfdc.stages.prediction.sharpness import sharpness
from dfdc.stages.prediction.yaw import landmark_detector, yaw
from dfdc.system.errors import UserError
from dfdc.system.progress import progress
from dfdc.video.recompression import Recompression, recompress
from dfdc.video.settings import EncoderSettings

PLAIN = "plain"
# Typical of videos shared online; training uses other encoder settings.
ENCODING = EncoderSettings(preset="medium", pixel_format="yuv420p", backend="pyav")
TUNE = "film"


def conditions(recompression: Sequence[Mapping[str, Any]]) -> dict[str, Recompression | None]:
    """The conditions under which clips are scored, by name: plain, then each combination of fps, scale and CRF."""
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
    """Scores of one model: one for each of ``frames`` of both clips of each pair, how sharp that frame is, and,
    in plain clips, how far the face is turned to the side.

    ``stores`` gives the store of each part. Clips are scored as cut and with each recompression of the list; frames are
    resized and cropped as in prediction. Raises UserError if the weights need a different number of frames or give
    non-finite scores.
    """
    if scorer.kind == "sequence" and len(frames) != scorer.sequence_length:
        raise UserError(
            f"These weights are for windows of {scorer.sequence_length} frames, but the model's `frames` in the config "
            f"are {len(frames)}. Give it {scorer.sequence_length} frames."
        )
    dataset = Clips(pairs, stores, tuple(frames), tuple(conditions(recompression).items()), scorer.crop)
    detector = landmark_detector()
    rows: list[ValidationScore] = []
    loaded = progress(load_in_order(dataset, workers if workers > 1 else 0), len(dataset), "clips")
    for number, (height, of_conditions) in enumerate(loaded):
        pair, label = dataset.clip(number)
        clip = (pair.part, pair.real, pair.fake, label, _clip_of(pair, label), height)
        for condition, pictures in of_conditions.items():
            units = [pictures] if scorer.kind == "sequence" else np.split(pictures, len(pictures))
            probabilities = np.concatenate(scorer(units))
            if not np.isfinite(probabilities).all():
                raise UserError(
                    f"The network's output is not finite for some frames of the clips of {pair.fake} ({pair.part}). "
                    + not_finite(scorer)
                )
            # Only plain clips tell what range of faces the models know, and this takes milliseconds for each.
            turned = yaw(pictures, detector).tolist() if condition == PLAIN else [math.nan] * len(pictures)
            known = [None if math.isnan(value) else value for value in turned]
            rows += (
                ValidationScore(*clip, condition, *of_frame)
                for of_frame in zip(frames, sharpness(pictures).tolist(), known, probabilities.tolist(), strict=True)
            )
    return rows


def _clip_of(pair: Pair, label: str) -> int:
    """The number of the real or of the fake clip of a pair in the store of its part."""
    return pair.real_clip if label == "REAL" else pair.fake_clip


class Clips(Dataset):
    """Both clips of each pair, the real one first. Pickled as the rows of the pairs."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        stores: Mapping[str, Path],
        frames: tuple[int, ...],
        draws: tuple[tuple[str, Recompression | None], ...],
        crop: CropPolicy,
    ) -> None:
        """Memory-map the stores. Raises UserError if one is missing or invalid."""
        self._pairs, self._frames, self._draws, self._crop = pairs, frames, draws, crop
        self._stores = {part: Store(stores[part]) for part in sorted({pair.part for pair in pairs})}

    def __len__(self) -> int:
        """The number of clips."""
        return 2 * len(self._pairs)

    def clip(self, index: int) -> tuple[Pair, str]:
        """The pair that a clip belongs to, and its label."""
        return self._pairs[index // 2], ("REAL", "FAKE")[index % 2]

    def __getitem__(self, index: int) -> tuple[int, dict[str, np.ndarray]]:
        """The height of a clip's frames, and the selected frames under each condition, prepared for the network."""
        pair, label = self.clip(index)
        # As in training, a clip is read only up to the length of the shorter clip of its pair.
        pictures = self._stores[pair.part].read(_clip_of(pair, label), range(pair.frames))
        of_conditions = {}
        for name, draw in self._draws:
            if draw is None:
                selected = [pictures[min(frame, len(pictures) - 1)] for frame in self._frames]
            else:
                selected = list(recompress(pictures, draw, ENCODING, self._frames))
            of_conditions[name] = prepared(selected, self._crop, flip=False)
        return pictures[0].shape[0], of_conditions
