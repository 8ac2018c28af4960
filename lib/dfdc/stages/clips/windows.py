"""Which frames of an aligned track become clips, and with which box."""

import math
from collections.abc import Sequence

import numpy as np

from dfdc.data.schemas.alignment import AlignedTrack
from dfdc.data.seeding import generator
from dfdc.stages.clips.settings.cutting import ClipSettings
from dfdc.video.boxes import Box, enlarged


def choose_windows(
    aligned: AlignedTrack, settings: ClipSettings, every: int, width: int, height: int, needed: int = 1
) -> list[tuple[int, Box]]:
    """The first frame and the box of each clip of an aligned track; none if the track is too short.

    A window spans ``frames // every`` entries of the track; its box is that of the real or the fake face in its middle.
    The first window starts at a random entry, each further one as far as possible from those before, so that windows
    overlap only where the track is too short for as many apart. If ``settings.per_track`` is auto, ``needed`` is how
    many there are at most, and neighbours overlap by half at most: more would add hardly any new pictures. Everything
    random is drawn from (seed, real video, fake video, tracks); the first window is the same however many follow.
    """
    entries = settings.frames // every
    last = len(aligned.frames) - entries
    if last < 0:
        return []
    topic = (aligned.real, aligned.fake, aligned.real_track, aligned.fake_track)
    draw = generator(settings.seed, "clip window", *topic)
    first = int(draw.integers(last + 1))
    draws = [draw]
    if settings.per_track == "auto":
        starts = spread(first, last, needed, least=math.ceil(entries / 2))
    else:
        starts = spread(first, last, settings.per_track, least=1)
    draws += [generator(settings.seed, "clip window", *topic, number) for number in range(1, len(starts))]
    windows = []
    for start, draw in zip(starts, draws, strict=True):
        boxes = aligned.fake_boxes if draw.random() < 0.5 else aligned.real_boxes
        box = enlarged(boxes[start + entries // 2], settings.enlarge, width, height)
        windows.append((aligned.frames[start], box))
    return windows


def spread(first: int, last: int, count: int, least: int) -> list[int]:
    """Up to ``count`` numbers from 0 to ``last``: ``first``, then each as far as possible from all before.

    A number that would be closer than ``least`` to another is not taken.
    """
    taken = [first]
    distance = np.abs(np.arange(last + 1) - first)
    while len(taken) < count and distance.max() >= least:
        taken.append(int(distance.argmax()))
        distance = np.minimum(distance, np.abs(np.arange(last + 1) - taken[-1]))
    return taken


def windows_needed(aligned: Sequence[AlignedTrack], pairs: float) -> int:
    """How many windows an aligned track has to give (at least 1) so that those of a part make ``pairs`` pairs."""
    tracks = sum(track.status == "aligned" for track in aligned)
    return max(math.ceil(pairs / tracks), 1) if tracks else 1
