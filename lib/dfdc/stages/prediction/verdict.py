"""The verdict on a score: words for a person, reasons for doubt, and the limits of all scores."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfdc.networks.inputs import center_transform
from dfdc.networks.settings import CropPolicy
from dfdc.networks.weights.find import Member
from dfdc.stages.prediction.sharpness import sharpness
from dfdc.stages.prediction.videos import VideoScore
from dfdc.stages.prediction.yaw import landmark_detector, yaw

# Below the first probability a video looks real, above the second it looks fake.
REAL, UNCERTAIN, FAKE = "looks real", "uncertain", "looks fake"
REAL_BELOW, FAKE_ABOVE = 0.35, 0.65
LIMITS = "faces only: audio is not checked, and a fully synthetic video may look real"
DEMONSTRATION = "demonstration"
MOST_LOOKED_AT = 32  # faces, spread over a video, whose sharpness and yaw are measured


@dataclass(frozen=True)
class Verdict:
    """``words`` are one of the three above; ``reasons`` say why a video counts as uncertain whatever its score is."""

    words: str
    reasons: tuple[str, ...] = ()


def in_words(probability: float) -> str:
    """The words for a probability of fake."""
    return REAL if probability < REAL_BELOW else FAKE if probability > FAKE_ABOVE else UNCERTAIN


def judge(video: VideoScore, members: Sequence[Member]) -> Verdict:
    """The verdict on a video.

    A video is uncertain, too, if nothing was scored, or if it is beyond the range of the validation clips and there the
    models erred more often, or there were no such clips. The ranges come with the weights (see
    ``evaluation.released.ranges_of``); without them only the score counts. Needs ``video.store``.
    """
    if not video.tracks:
        return Verdict(UNCERTAIN, (video.row.reason,))
    ranges = next((member.metadata["ranges"] for member in members if member.metadata.get("ranges")), {})
    reasons = tuple(_doubts(video, members, ranges))
    return Verdict(UNCERTAIN if reasons else in_words(video.probability), reasons)


def _doubts(video: VideoScore, members: Sequence[Member], ranges: Mapping[str, Any]) -> Iterator[str]:
    boxes = np.concatenate([scored.track.boxes for scored in video.tracks])
    height = float(np.median(boxes[:, 3] - boxes[:, 1]))
    smaller = _Range.of(ranges.get("face_height"))
    if smaller and height < smaller.limit and smaller.is_doubtful:
        yield f"its faces are {height:.0f} pixels high, {smaller.told('smaller')}"
    blurred = _first_doubtful(video, members, ranges.get("sharpness"))
    if blurred and _median(sharpness(blurred.faces)) < blurred.range.limit:
        yield f"its faces are {blurred.range.told('more blurred')}"
    turned = _first_doubtful(video, members, ranges.get("yaw"))
    if turned and _median(yaw(turned.faces, landmark_detector())) > turned.range.limit:
        yield f"its faces are seen {turned.range.told('more from the side')}"
    means = _means(video)
    further = _Range.of(ranges.get("disagreement"))
    if further and sorted(means) == ranges.get("models"):
        spread = max(means.values()) - min(means.values())
        if spread > further.limit and further.is_doubtful:
            yield f"the models are {spread:.2f} apart, {further.told('further')}"


@dataclass(frozen=True)
class _Seen:
    """A range that is doubtful beyond its limit, and faces of a video as the model sees them of which it is known."""

    range: "_Range"
    faces: Iterator[np.ndarray]


def _first_doubtful(video: VideoScore, members: Sequence[Member], ranges: Any) -> _Seen | None:
    """The first model that sees faces of the video and has a range that is doubtful; None if there is no such model."""
    for member in members:
        known = _Range.of(ranges.get(member.name)) if isinstance(ranges, Mapping) else None
        crops = [crop for crop in video.crops if crop.kind == member.model.get("kind")]
        if known and known.is_doubtful and crops:
            chosen = crops[:: -(-len(crops) // MOST_LOOKED_AT)]
            faces = (video.store.read(crop.batch, [len(crop.frames) // 2])[0] for crop in chosen)
            policy = CropPolicy(**member.model["crop"])
            return _Seen(known, (center_transform(face, policy) for face in faces))
    return None


def _median(values: np.ndarray) -> float:
    """The median of those values that are known; NaN, which is beyond no limit, if none is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan


def _means(video: VideoScore) -> dict[str, float]:
    """The mean probability of each model over all faces."""
    names = sorted({name for scored in video.tracks for name in scored.scores})
    of_each = {name: [scored.scores[name][1] for scored in video.tracks if name in scored.scores] for name in names}
    return {name: float(np.concatenate(values).mean()) for name, values in of_each.items()}


@dataclass(frozen=True)
class _Range:
    """A limit that 5 % of the validation clips are beyond; how many clips these were, and of how many the score was on
    the wrong side, and the same of the others."""

    limit: float
    beyond: int
    beyond_wrong: int
    within: int
    within_wrong: int

    @classmethod
    def of(cls, stored: Any) -> "_Range | None":
        """A range as it is stored with weights; None if there is none, or it is not one (files may be anybody's)."""
        try:
            counts = [stored[side][kind] for side in ("beyond", "within") for kind in ("clips", "wrong")]
            limit = float(stored["limit"])
        except (TypeError, KeyError, ValueError):
            return None
        return cls(limit, *counts) if math.isfinite(limit) and all(type(count) is int for count in counts) else None

    @property
    def is_doubtful(self) -> bool:
        """Whether models err more often beyond the limit, or nothing is known about it."""
        return self.beyond == 0 or self.beyond_wrong * self.within > self.within_wrong * self.beyond

    def told(self, word: str) -> str:
        """What is known about videos beyond the limit."""
        if self.beyond == 0:
            return f"{word} than in any validation clip"
        seen = f"{self.beyond_wrong} of {self.beyond} such clips were misclassified"
        return f"{word} than in 95 % of the validation clips ({seen})"


def purpose_in_words(members: Sequence[Member]) -> str:
    """A warning if weights were made for a demonstration; empty if none were."""
    for member in members:
        provenance = member.metadata.get("provenance") or {}
        if provenance.get("purpose") == DEMONSTRATION:
            trained_on = f"{provenance.get('pairs')} pairs of {provenance.get('sources')} real videos"
            return (
                f"These weights were made for a demonstration ({provenance.get('data')}: {trained_on}). "
                "Their scores for other videos mean nothing."
            )
    return ""
