"""Scoring the faces of test videos with one model."""

import contextlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from dfdc.data.pictures.store import Store
from dfdc.data.schemas.crops import Crop
from dfdc.data.schemas.scores import FrameScore
from dfdc.networks.families import build_model
from dfdc.networks.inference import inference_type
from dfdc.networks.inputs import center_transform, normalise
from dfdc.networks.settings import CropPolicy
from dfdc.networks.weights.files import read_weights_metadata
from dfdc.networks.weights.load import load_weights
from dfdc.system.errors import UserError
from dfdc.system.progress import progress
from dfdc.system.workers.threads import map_ahead

# Images per batch. It is not a setting, and batches never mix videos, so that a score does not depend on what else is
# scored (float sums depend on the shape of a batch).
BATCH = 64
# Pictures that are prepared before the network is ready for them.
AHEAD = 2 * BATCH


def prepared(unit: Sequence[np.ndarray], crop: CropPolicy, flip: bool) -> np.ndarray:
    """The pictures of a unit (a face, or the faces of a window) as a network's input, N x height x width x 3, uint8.

    The pictures are RGB uint8 of any size; with ``flip`` they are mirrored.
    """
    return np.stack([center_transform(picture, crop, flip) for picture in unit])


class Scorer:
    """A network with exported weights and the preprocessing given in their metadata."""

    def __init__(self, weights: Path, device: torch.device, precision: str) -> None:
        """Load exported weights; for ``precision`` see ``inference_type``.

        Raises UserError if the file is missing, lacks metadata or holds other weights.
        """
        metadata = read_weights_metadata(weights)
        if missing := {"kind", "crop", "architecture", "sequence_length"} - set(metadata):
            raise UserError(
                f"{weights} has no {', '.join(sorted(missing))} in its metadata: it was not written by export_weights. "
                "Set models.<name>.weights in the config to this file; it is then exported with the model's settings."
            )
        self.kind: str = metadata["kind"]
        self.crop = CropPolicy(**metadata["crop"])
        self.sequence_length: int = metadata["sequence_length"]
        self.device = device
        self.dtype = inference_type(device, precision)
        size = (self.crop.height, self.crop.width)
        self.model = build_model(metadata["architecture"], self.kind, size, self.sequence_length)
        self.model.load_state_dict(load_weights(weights, metadata["architecture"], self.kind, own=True))
        self.model = self.model.eval().to(device)

    @torch.inference_mode()
    def __call__(self, units: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The probabilities of the pictures of each unit, in order.

        The units are prepared (see ``prepared``), and all have the same number of pictures.
        """
        pictures = np.concatenate(units)
        length = len(units[0])
        size = max(BATCH // length, 1) * length  # a window is never split
        probabilities = []
        for start in range(0, len(pictures), size):
            batch = torch.from_numpy(pictures[start : start + size]).to(self.device)
            batch = normalise(batch, self.model.normalisation)
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                logits = self.model(batch)
            probabilities.append(torch.sigmoid(logits.float()).squeeze(1).cpu().numpy())
        return list(np.concatenate(probabilities).reshape(-1, length))


def score(
    crops: Sequence[Crop], store: Store, scorer: Scorer, of: int, take: Sequence[int], workers: int = 1
) -> list[FrameScore]:
    """Score crops with one model; returns one score for each of their pictures.

    The model scores the crops of its kind whose ordinal, modulo ``of``, is in ``take``. Every other face or window of a
    track, starting with the first, is mirrored. ``workers`` threads prepare pictures while the network computes. Raises
    UserError if the window length does not fit the weights, if a picture is damaged, or if scores are not finite.
    """
    selected: dict[str, list[Crop]] = {}
    for crop in crops:
        if crop.kind == scorer.kind and crop.ordinal % of in take:
            selected.setdefault(crop.video, []).append(crop)
    length = len(next(iter(selected.values()))[0].frames) if selected else 1
    if selected and scorer.kind == "sequence" and length != scorer.sequence_length:
        expected = scorer.sequence_length
        raise UserError(
            f"These weights are for windows of {expected} frames, but the faces were cut in windows of {length}. "
            f"Set prediction.sequence_length in the config to {expected}."
        )
    rows = []
    # Read here, since a store is not made for several threads; most of the work is in decoding and resizing.
    read = ((store.clip(crop.batch), crop.ordinal % 2 == 0) for of_video in selected.values() for crop in of_video)
    units = map_ahead(lambda unit: prepared(unit[0], scorer.crop, unit[1]), read, workers, max(AHEAD // length, 1))
    with contextlib.closing(units):
        for video, of_video in progress(selected.items(), len(selected), "videos"):
            # One batch at a time: all pictures of a long video might not fit into memory.
            size = max(BATCH // length, 1)
            for chunk in (of_video[start : start + size] for start in range(0, len(of_video), size)):
                scores = scorer(list(islice(units, len(chunk))))
                if not np.isfinite(scores).all():
                    raise UserError(
                        f"The network's output is not finite for some faces of {video}. {not_finite(scorer)}"
                    )
                for crop, probabilities in zip(chunk, scores, strict=True):
                    rows += (
                        FrameScore(video, crop.track, frame, probability)
                        for frame, probability in zip(crop.frames, probabilities.tolist(), strict=True)
                    )
    return rows


def not_finite(scorer: Scorer) -> str:
    """What may be the reason if a network's output is not finite, and what to do."""
    if scorer.dtype == torch.float32:
        return "Its weights are damaged."
    return (
        "Either its weights are damaged, or its activations overflow in half precision: set prediction.precision to "
        "fp32 in the config to find out which."
    )
