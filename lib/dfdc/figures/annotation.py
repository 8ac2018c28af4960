"""A video with the boxes of its faces and their scores drawn into it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from dfdc.data.schemas.tracks import Track
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.videos import BIN, VideoScore
from dfdc.system.errors import VideoError
from dfdc.system.files import atomic_path
from dfdc.system.pool import map_in_order
from dfdc.video.reading import FORMATS, open_video, read_frames

# Of the palette of Okabe and Ito, which colour-blind people can tell apart. The labels say the same in numbers.
REAL, FAKE = (0, 114, 178), (213, 94, 0)
# Sound that an MP4 file can hold as it is; other sound is left out.
SOUND = ("aac", "mp3", "ac3", "eac3", "alac", "flac", "opus")


@dataclass(frozen=True)
class _Shown:
    """A track, with a box at each of its kept frames, and its score in each second."""

    track: Track
    scores: Mapping[int, float]


@dataclass(frozen=True)
class _Annotation:
    source: Path
    target: Path
    probability: float
    fps: float
    tracks: tuple[_Shown, ...]


def annotate_video(target: Path, video: VideoScore, settings: EnsembleSettings, limit: float | None) -> str:
    """Write a scored video, which is not unreadable, with its boxes and scores to an MP4 file.

    The frames are upright and at their times, the sound is kept as it is. A box has the score of its track in that
    second. Gives "", or why the file could not be written: a video can crash a decoder, so another process does it,
    which may take ``limit`` seconds.
    """
    fps = video.row.fps
    tracks = tuple(
        _Shown(scored.track, {round(start / BIN): score for start, score in scored.over_time(fps, settings)})
        for scored in video.tracks
    )
    wanted = _Annotation(video.path, target, video.probability, fps, tracks)
    with contextlib.closing(map_in_order(_Writer().prepare, [wanted], 1, limit, lambda _, reason: reason)) as done:
        return next(done)


@dataclass(frozen=True)
class _Writer:
    def prepare(self) -> Callable[[_Annotation], str]:
        return _write


def _write(wanted: _Annotation) -> str:
    try:
        with (
            atomic_path(wanted.target) as temporary,
            _open(wanted.source) as source,
            av.open(str(temporary), "w", format="mp4") as target,
        ):
            _write_frames(wanted, source, target)
    except (VideoError, av.FFmpegError, ValueError, cv2.error) as error:
        return str(error)
    return ""


def _open(path: Path) -> av.container.InputContainer:
    return av.open(str(path), metadata_errors="ignore", options={"format_whitelist": FORMATS})


def _write_frames(
    wanted: _Annotation, source: av.container.InputContainer, target: av.container.OutputContainer
) -> None:
    pictures = source.streams.video[0]
    rate = pictures.average_rate or Fraction(25)
    stream = target.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
    stream.pix_fmt = "yuv420p"
    times, base = _times(wanted.source) or (None, 1 / rate)
    stream.codec_context.time_base = base
    sound = _Sound(source, target)
    for index, picture in read_frames(open_video(wanted.source)):
        drawn = _draw(picture, index, wanted)
        if index == 0:
            stream.height, stream.width = drawn.shape[:2]
        frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
        frame.pts, frame.time_base = (index if times is None else times[index]), base
        sound.write_until(float(frame.pts * base))
        target.mux(stream.encode(frame))
    target.mux(stream.encode(None))
    sound.write_until(float("inf"))


def _times(path: Path) -> tuple[list[int], Fraction] | None:
    """When the frames of a video are shown, in order, and the unit of that; None if the file does not clearly say."""
    with _open(path) as container:
        stream = container.streams.video[0]
        stamps = [packet.pts for packet in container.demux(stream) if packet.size]
        if None in stamps or len(set(stamps)) < len(stamps) or len(stamps) != stream.frames:
            return None
        return sorted(stamps), stream.time_base


class _Sound:
    """The sound of a video on its way to another file."""

    def __init__(self, source: av.container.InputContainer, target: av.container.OutputContainer) -> None:
        self._target, self._next = target, None
        self._packets: Iterator[av.Packet] = iter(())
        if source.streams.audio and source.streams.audio[0].codec_context.name in SOUND:
            self._stream = target.add_stream_from_template(source.streams.audio[0])
            self._packets = (packet for packet in source.demux(source.streams.audio[0]) if packet.dts is not None)
            self._take()

    def write_until(self, seconds: float) -> None:
        """Copy what begins before a time. What is damaged ends the sound."""
        while self._next is not None and float(self._next.dts * self._next.time_base) < seconds:
            self._next.stream = self._stream
            self._target.mux(self._next)
            self._take()

    def _take(self) -> None:
        try:
            self._next = next(self._packets, None)
        except av.FFmpegError:
            self._next = None


def _draw(picture: np.ndarray, index: int, wanted: _Annotation) -> np.ndarray:
    """The picture with its boxes and labels; its sides are even, as the pixel format demands."""
    height, width = (side - side % 2 for side in picture.shape[:2])
    drawn = np.ascontiguousarray(picture[:height, :width])
    thickness = max(1, round(min(height, width) / 240))
    second = int(index / wanted.fps / BIN)
    for shown in wanted.tracks:
        track = shown.track
        if track.frames[0] <= index <= track.frames[-1]:
            box = [round(float(np.interp(index, track.frames, side))) for side in track.boxes.T]
            score = shown.scores.get(second)
            colour = (128, 128, 128) if score is None else FAKE if score >= 0.5 else REAL
            cv2.rectangle(drawn, box[:2], box[2:], colour, thickness, cv2.LINE_AA)
            text = f"track {track.number}" + ("" if score is None else f": {score:.2f}")
            _label(drawn, text, (box[0], box[1]), colour, thickness, above=True)
    colour = FAKE if wanted.probability >= 0.5 else REAL
    _label(drawn, f"fake: {wanted.probability:.2f}", (0, 0), colour, thickness, above=False)
    return drawn


def _label(
    picture: np.ndarray, text: str, corner: Sequence[int], colour: tuple[int, int, int], thickness: int, above: bool
) -> None:
    """White text on a ground of the colour, inside the picture; ``corner`` is its lower or upper left one."""
    font, scale, margin = cv2.FONT_HERSHEY_SIMPLEX, 0.45 * max(thickness, 1), 3 * thickness
    (width, height), below = cv2.getTextSize(text, font, scale, thickness)
    full = (width + 2 * margin, height + below + 2 * margin)
    left = min(max(corner[0], 0), max(picture.shape[1] - full[0], 0))
    top = max(corner[1] - full[1], 0) if above else corner[1]
    cv2.rectangle(picture, (left, top), (left + full[0], top + full[1]), colour, cv2.FILLED)
    place = (left + margin, top + margin + height)
    cv2.putText(picture, text, place, font, scale, (255, 255, 255), thickness, cv2.LINE_AA)
