"""From tracks of a test video to a probability for each face."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dfdc.augment import CropPolicy, center_transform, normalise
from dfdc.clips import Box, enlarged
from dfdc.errors import UserError, VideoError
from dfdc.log import progress
from dfdc.models import build_model
from dfdc.parallel import map_in_order
from dfdc.store import Store, encode_png, write_store
from dfdc.video import check_readable, open_video, read_frames
from dfdc.weights import load_weights, read_metadata

# Pictures that go through a network together. A video's faces never share a batch with another's, and this is no
# setting, so that a score does not depend on what else is scored (float sums depend on the shapes of batches).
BATCH = 64


@dataclass(frozen=True)
class CropSettings:
    """The box is enlarged ``enlarge`` times. Of a track's kept frames every ``frame_every``-th is a face for the
    frame models, and every ``sequence_every``-th starts a window of ``sequence_length`` for sequence models.
    ``kinds``: which of frame and sequence are wanted."""

    enlarge: float
    frame_every: int
    sequence_every: int
    sequence_length: int
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Crop:
    """Pictures to be cut with one box: a face for a frame model, or a window for a sequence model."""

    track: int
    kind: str
    ordinal: int
    frames: tuple[int, ...]
    box: Box


def plan_crops(
    track: int, frames: Sequence[int], boxes: np.ndarray, width: int, height: int, settings: CropSettings
) -> Iterator[Crop]:
    """What to cut for a track that has a box at each of its kept frames; width and height of the video.

    A window is cut with the box of its middle frame. A window that does not fit into the track is left out.
    """
    if "frame" in settings.kinds:
        for ordinal, position in enumerate(range(0, len(frames), settings.frame_every)):
            box = enlarged(boxes[position], settings.enlarge, width, height)
            yield Crop(track, "frame", ordinal, (frames[position],), box)
    if "sequence" in settings.kinds:
        length = settings.sequence_length
        for ordinal, start in enumerate(range(0, len(frames) - length + 1, settings.sequence_every)):
            box = enlarged(boxes[start + length // 2], settings.enlarge, width, height)
            yield Crop(track, "sequence", ordinal, tuple(frames[start : start + length]), box)


@dataclass(frozen=True)
class _VideoCrops:
    path: Path
    crops: tuple[Crop, ...]


@dataclass
class _CutCrop:
    pictures: list[bytes] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)


def _cut_crops(video: _VideoCrops) -> tuple[str, list[tuple[list[bytes], str]]]:
    """Decode a video once and give, for each crop, its PNG pictures and the hash of their pixels.

    There are fewer pictures, or none, where the video is damaged. Before them: why it cannot be read at all, or "".
    """
    wanted_by: dict[int, list[int]] = {}
    for number, crop in enumerate(video.crops):
        for frame in crop.frames:
            wanted_by.setdefault(frame, []).append(number)
    cut = [_CutCrop() for _ in video.crops]
    reason = ""
    try:
        opened = open_video(video.path)
        for index, frame in read_frames(opened, wanted=wanted_by.__contains__, end=max(wanted_by, default=-1) + 1):
            for number in wanted_by[index]:
                x1, y1, x2, y2 = video.crops[number].box
                face = np.ascontiguousarray(frame[y1:y2, x1:x2])
                cut[number].digest.update(repr(face.shape).encode() + face.tobytes())
                cut[number].pictures.append(encode_png(face))
    except VideoError as error:
        reason = str(error)
    return reason, [(crop.pictures, crop.digest.hexdigest()) for crop in cut]


@dataclass(frozen=True)
class _Cutter:
    def prepare(self) -> Callable[[_VideoCrops], tuple[str, list[tuple[list[bytes], str]]]]:
        return _cut_crops


def crop_test_faces(
    folder: Path,
    tracks: Mapping[str, Mapping[int, tuple[list[int], np.ndarray]]],
    sizes: Mapping[str, tuple[int, int]],
    store: Path,
    settings: CropSettings,
    max_unreadable: float,
    workers: int = 1,
) -> list[dict[str, Any]]:
    """Cut the faces of test videos into a store; give the rows of the table of crops.

    ``tracks`` gives for each video and track its kept frames and their boxes, ``sizes`` each video's width and height.
    Raises UserError if more than the share ``max_unreadable`` of these videos cannot be read any more.
    """
    videos = [
        _VideoCrops(
            folder / name,
            tuple(
                crop
                for track, (frames, boxes) in of_video.items()
                for crop in plan_crops(track, frames, boxes, *sizes[name], settings)
            ),
        )
        for name, of_video in tracks.items()
    ]
    rows: list[dict[str, Any]] = []
    read: list[dict[str, Any]] = []

    def batches() -> Iterator[list[bytes]]:
        results = progress(map_in_order(_Cutter().prepare, videos, workers), len(videos), "videos")
        for video, (reason, of_video) in zip(videos, results, strict=True):
            status = "unreadable" if reason else "ok"
            read.append({"video": video.path.name, "status": status, "reason": reason})
            for crop, (pictures, digest) in zip(video.crops, of_video, strict=True):
                if len(pictures) == len(crop.frames):
                    about = {
                        "track": crop.track,
                        "kind": crop.kind,
                        "ordinal": crop.ordinal,
                        "frames": crop.frames,
                    }
                    rows.append({"video": video.path.name, **about, "batch": len(rows), "sha256": digest})
                    yield pictures

    write_store(store, batches())
    # Their faces were found, so they could be read then: to score them 0.5 would hide that something broke since.
    check_readable(read, folder, max_unreadable)
    return rows


class Scorer:
    """A network with finished weights, and the preprocessing that is written in them."""

    def __init__(self, weights: Path, device: torch.device) -> None:
        """Load exported weights. Raises UserError if the file is missing or is not what it says."""
        about = read_metadata(weights)
        if missing := {"kind", "crop", "architecture", "sequence_length"} - set(about):
            raise UserError(
                f"{weights} says nothing of its {', '.join(sorted(missing))}: it is no file that export_weights wrote. "
                "Name it as models.<name>.weights in the config; it is then exported with what the config says."
            )
        self.kind: str = about["kind"]
        self.crop = CropPolicy(**about["crop"])
        self.sequence_length: int = about["sequence_length"]
        self.device = device
        size = (self.crop.height, self.crop.width)
        self.model = build_model(about["architecture"], self.kind, size, self.sequence_length)
        self.model.load_state_dict(load_weights(weights, about["architecture"], self.kind))
        self.model = self.model.eval().to(device)

    @torch.inference_mode()
    def __call__(self, units: Sequence[Sequence[np.ndarray]], flips: Sequence[bool]) -> list[np.ndarray]:
        """The probabilities of the pictures of each unit (a face, or the faces of a window), in order.

        All units have the same number of pictures, RGB uint8 of any size; those with a flip are mirrored.
        """
        pictures = np.stack(
            [
                center_transform(picture, self.crop, flip)
                for unit, flip in zip(units, flips, strict=True)
                for picture in unit
            ]
        )
        length = len(units[0])
        size = max(BATCH // length, 1) * length  # a window is not torn apart
        probabilities = []
        for start in range(0, len(pictures), size):
            batch = normalise(torch.from_numpy(pictures[start : start + size]).to(self.device))
            with torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda"):
                logits = self.model(batch)
            probabilities.append(torch.sigmoid(logits.float()).squeeze(1).cpu().numpy())
        return list(np.concatenate(probabilities).reshape(-1, length))


def score(
    crops: Sequence[Mapping[str, Any]], store: Store, scorer: Scorer, of: int, take: Sequence[int]
) -> list[dict[str, Any]]:
    """Rows of the table of scores of one model: one for each picture that it looks at.

    ``crops`` are rows of the table of crops. The model takes those of its kind whose ordinal, modulo ``of``, is in
    ``take``. Every other face or window of a track, starting with the first, is mirrored.
    """
    mine: dict[str, list[Mapping[str, Any]]] = {}
    for crop in crops:
        if crop["kind"] == scorer.kind and crop["ordinal"] % of in take:
            mine.setdefault(crop["video"], []).append(crop)
    rows = []
    for video, of_video in progress(mine.items(), len(mine), "videos"):
        if scorer.kind == "sequence" and len(of_video[0]["frames"]) != scorer.sequence_length:
            cut, wanted = len(of_video[0]["frames"]), scorer.sequence_length
            raise UserError(
                f"These weights are for windows of {wanted} frames, but the faces were cut in windows of {cut}. "
                f"Set prediction.sequence_length in the config to {wanted}."
            )
        units = [store.read(crop["batch"]) for crop in of_video]
        found = scorer(units, [crop["ordinal"] % 2 == 0 for crop in of_video])
        if not np.isfinite(found).all():
            raise UserError(
                f"The network gives no number for some faces of {video}. Its weights are damaged, or too large for "
                "half precision: set speed.device to cpu in the config to see which."
            )
        for crop, probabilities in zip(of_video, found, strict=True):
            rows += (
                {"video": video, "track": crop["track"], "frame": frame, "probability": probability}
                for frame, probability in zip(crop["frames"], probabilities.tolist(), strict=True)
            )
    return rows
