"""Cutting clips: the same box and the same frames from a real video and from its fake."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.alignment import AlignedTrack
from dfdc.data.schemas.clips import Clip
from dfdc.data.schemas.videos import TrainingVideo
from dfdc.stages.clips.differences import SIGNATURE, Comparison, signature
from dfdc.stages.clips.scaling import read_scaled_crops
from dfdc.stages.clips.settings.cutting import ClipSettings
from dfdc.stages.clips.windows import choose_windows, windows_needed
from dfdc.system.errors import VideoError
from dfdc.system.progress import progress
from dfdc.system.workers.pool import map_in_order
from dfdc.video.boxes import Box
from dfdc.video.reading import open_video, partly_decoded, read_crops
from dfdc.video.unreadable import check_readable


@dataclass(frozen=True)
class Cut:
    """All clips to cut from one video: first frame and box of each; for ``counted`` see ``read_frames``.

    ``size`` is the width and height to which frames are scaled before they are cut; None: they are not.
    """

    path: Path
    windows: tuple[tuple[int, Box], ...]
    frames: int
    counted: int | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class CutClip:
    """A clip's PNG pictures, the hash of its pixels, status and reason (see ``CLIPS``), and signatures.

    ``signatures`` are the pictures averaged over a grid of 16 x 16 cells (frames x 16 x 16 x 3, uint8). Equal pictures
    have equal signatures. Details smaller than a cell, such as most compression noise, are averaged out; a different
    face is not.
    """

    pictures: list[bytes]
    sha256: str
    status: str
    reason: str
    signatures: np.ndarray


def cut_clips(cut: Cut) -> list[CutClip]:
    """Cut all clips of a video in one decoding pass."""
    pictures: list[list[bytes]] = [[] for _ in cut.windows]
    signatures: list[list[np.ndarray]] = [[] for _ in cut.windows]
    hashes = [hashlib.sha256() for _ in cut.windows]
    wanted_by = defaultdict(list)
    for number, (first, _) in enumerate(cut.windows):
        for index in range(first, first + cut.frames):
            wanted_by[index].append(number)
    reason, spoilt = "", []
    try:
        video = open_video(cut.path)
        boxes = {index: [cut.windows[number][1] for number in numbers] for index, numbers in wanted_by.items()}
        crops = (
            read_scaled_crops(video, boxes, cut.size, cut.counted)
            if cut.size
            else read_crops(video, boxes, cut.counted)
        )
        for index, faces in crops:
            for number, face in zip(wanted_by[index], faces, strict=True):
                hashes[number].update(repr(face.shape).encode() + face.tobytes())
                pictures[number].append(encode_png(face))
                signatures[number].append(signature(face))
        reason, spoilt = video.damage or "the video ends", video.spoilt
    except VideoError as error:
        reason = str(error)
    return [
        CutClip(
            of_clip,
            digest.hexdigest(),
            *_state(len(of_clip), cut.frames, reason, [index for index in spoilt if 0 <= index - first < cut.frames]),
            np.array(seen, np.uint8).reshape(-1, SIGNATURE, SIGNATURE, 3),
        )
        for (first, _), of_clip, digest, seen in zip(cut.windows, pictures, hashes, signatures, strict=True)
    ]


def _state(frames: int, wanted: int, end: str, spoilt: Sequence[int]) -> tuple[str, str]:
    """Status and reason of a clip of ``frames`` of the ``wanted`` frames; ``end``: why there are no more."""
    if frames < wanted:
        return "short" if frames else "failed", end
    return ("damaged", partly_decoded(spoilt)) if spoilt else ("ok", "")


def failed(cut: Cut, reason: str) -> list[CutClip]:
    """Empty clips in place of those of a video whose worker crashed or timed out."""
    nothing = np.zeros((0, SIGNATURE, SIGNATURE, 3), np.uint8)
    return [CutClip([], hashlib.sha256().hexdigest(), "failed", reason, nothing) for _ in cut.windows]


@dataclass(frozen=True)
class _Cutter:
    def prepare(self) -> Callable[[Cut], list[CutClip]]:
        return cut_clips


@dataclass(frozen=True)
class _Window:
    """A clip to cut from the real or the fake video of an aligned track."""

    label: str
    track: AlignedTrack
    first: int
    box: Box

    def clip(self, part: str, number: int, cut: CutClip) -> Clip:
        """The table row of the cut clip; ``number`` is its number in the store, if it has any frames."""
        track = self.track
        return Clip(
            part=part,
            clip=number if cut.pictures else None,
            label=self.label,
            video=track.real if self.label == "REAL" else track.fake,
            real=track.real,
            fake=track.fake,
            real_track=track.real_track,
            fake_track=track.fake_track,
            first_frame=self.first,
            box=self.box,
            frames=len(cut.pictures),
            bytes=sum(map(len, cut.pictures)),
            status=cut.status,
            reason=cut.reason,
            sha256=cut.sha256,
        )


def extract_clips(
    folder: Path,
    aligned: Sequence[AlignedTrack],
    videos: Mapping[str, TrainingVideo],
    store: Path,
    settings: ClipSettings,
    every: int,
    max_unreadable: float,
    workers: int = 1,
    video_timeout: float | None = None,
    pairs: float = 0,
) -> list[Clip]:
    """Cut the clips of a training part into a store; returns a row for each clip, including those that failed.

    ``videos`` are the videos of the part by name; ``every`` is the distance between sampled frames; ``pairs`` is how
    many pairs the part should give if ``settings.per_track`` is auto. Each video is decoded once for all its clips.
    Aligned tracks that are too short for a clip have a row as well, as do the clips of a video that makes no progress
    for ``video_timeout`` seconds. Rows of fakes have the difference from their real clip (``difference``). Raises
    UserError if more than the fraction ``max_unreadable`` of the videos has become unreadable.
    """
    windows_of, too_short = _windows(folder.name, aligned, videos, settings, every, pairs)
    cuts = [
        Cut(
            folder / video,
            tuple((window.first, window.box) for window in windows),
            settings.frames,
            videos[video].counted,
            _other_size(videos[video], videos[windows[0].track.real]),
        )
        for video, windows in windows_of.items()
    ]
    clips: list[Clip] = []
    compare = Comparison()

    def batches() -> Iterator[list[bytes]]:
        results = progress(map_in_order(_Cutter().prepare, cuts, workers, video_timeout, failed), len(cuts), "videos")
        number = 0
        for windows, of_video in zip(windows_of.values(), results, strict=True):
            for window, cut in zip(windows, of_video, strict=True):
                clips.append(compare(window.clip(folder.name, number, cut), cut.signatures))
                if cut.pictures:
                    number += 1
                    yield cut.pictures

    write_store(store, batches())
    readable = {clip.video for clip in clips if clip.status != "failed"}
    unreadable = {clip.video: clip.reason for clip in clips if clip.video not in readable}
    check_readable(unreadable, len(windows_of), folder, max_unreadable)
    return clips + too_short


def _other_size(video: TrainingVideo, real: TrainingVideo) -> tuple[int, int] | None:
    """The size of the real video, to which a fake of another size was aligned; None if it is the same."""
    size = (real.width, real.height)
    return None if (video.width, video.height) == size else size


def _windows(
    part: str,
    aligned: Sequence[AlignedTrack],
    videos: Mapping[str, TrainingVideo],
    settings: ClipSettings,
    every: int,
    pairs: float,
) -> tuple[dict[str, list[_Window]], list[Clip]]:
    """The windows of each video, real videos before their fakes, and the rows of aligned tracks without a window."""
    windows_of: dict[str, list[_Window]] = defaultdict(list)
    too_short: list[Clip] = []
    needed = windows_needed(aligned, pairs)
    for track in aligned:
        if track.status != "aligned":
            continue
        video = videos[track.real]
        windows = choose_windows(track, settings, every, video.width, video.height, needed)
        for window in windows:
            windows_of[track.real].append(_Window("REAL", track, *window))
            windows_of[track.fake].append(_Window("FAKE", track, *window))
        if not windows:
            too_short.append(_without_clip(part, track, settings.frames // every))
    return windows_of, too_short


def _without_clip(part: str, track: AlignedTrack, needed: int) -> Clip:
    """The row of an aligned track that is too short for a clip."""
    return Clip(
        part=part,
        clip=None,
        label="FAKE",
        video=track.fake,
        real=track.real,
        fake=track.fake,
        real_track=track.real_track,
        fake_track=track.fake_track,
        first_frame=None,
        box=None,
        frames=0,
        bytes=0,
        status="failed",
        reason=f"the aligned track has {len(track.frames)} sampled frames, a clip needs {needed}",
        sha256="",
    )
