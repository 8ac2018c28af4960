"""Copies of scored videos with face boxes and scores drawn on every frame."""

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
from dfdc.system.workers.pool import map_in_order
from dfdc.video.reading import file_url, open_container, open_video, read_frames

# From the colour-blind-safe palette of Okabe and Ito. The labels give the scores as numbers as well.
REAL, FAKE = (0, 114, 178), (213, 94, 0)
# Audio codecs that can be copied into an MP4 file; other audio is dropped.
SOUND = ("aac", "mp3", "ac3", "eac3", "alac", "flac", "opus")


@dataclass(frozen=True)
class _Shown:
    """A track with a box at each of its kept frames, and its score in each second."""

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
    """Write a copy of a scored (readable) video to an MP4 file, with its boxes and scores drawn in.

    Frames are upright and keep their timestamps; the audio is copied. Each box is labelled with its track's score in
    the current second. Returns "", or the reason why the file could not be written. The work runs in a separate
    process, because a video can crash the decoder; it is stopped after ``limit`` seconds.
    """
    fps = video.row.fps
    tracks = tuple(
        _Shown(scored.track, {round(start / BIN): score for start, score in scored.over_time(fps, settings)})
        for scored in video.tracks
    )
    annotation = _Annotation(video.path, target, video.probability, fps, tracks)
    with contextlib.closing(map_in_order(_Writer().prepare, [annotation], 1, limit, lambda _, reason: reason)) as done:
        return next(done)


@dataclass(frozen=True)
class _Writer:
    def prepare(self) -> Callable[[_Annotation], str]:
        return _write


def _write(annotation: _Annotation) -> str:
    try:
        with (
            atomic_path(annotation.target) as temporary,
            open_container(annotation.source) as source,
            av.open(file_url(temporary), "w", format="mp4") as target,
        ):
            _write_frames(annotation, source, target)
    except (VideoError, av.FFmpegError, ValueError, cv2.error) as error:
        return str(error)
    return ""


def _write_frames(
    annotation: _Annotation, source: av.container.InputContainer, target: av.container.OutputContainer
) -> None:
    pictures = source.streams.video[0]
    rate = pictures.average_rate or Fraction(25)
    stream = target.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
    stream.pix_fmt = "yuv420p"
    times, base = _times(annotation.source) or (None, 1 / rate)
    stream.codec_context.time_base = base
    sound = _Sound(source, target)
    for index, picture in read_frames(open_video(annotation.source)):
        drawn = _draw(picture, index, annotation)
        if index == 0:
            stream.height, stream.width = drawn.shape[:2]
        frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
        frame.pts, frame.time_base = (index if times is None else times[index]), base
        sound.write_until(float(frame.pts * base))
        target.mux(stream.encode(frame))
    target.mux(stream.encode(None))
    sound.write_until(float("inf"))


def _times(path: Path) -> tuple[list[int], Fraction] | None:
    """The sorted timestamps of a video's frames and their time base; None if they are missing or ambiguous."""
    with open_container(path) as container:
        stream = container.streams.video[0]
        stamps = [packet.pts for packet in container.demux(stream) if packet.size]
        if None in stamps or len(set(stamps)) < len(stamps) or len(stamps) != stream.frames:
            return None
        return sorted(stamps), stream.time_base


class _Sound:
    """Copies the audio packets of one file to another."""

    def __init__(self, source: av.container.InputContainer, target: av.container.OutputContainer) -> None:
        self._target, self._next = target, None
        self._packets: Iterator[av.Packet] = iter(())
        if source.streams.audio and source.streams.audio[0].codec_context.name in SOUND:
            self._stream = target.add_stream_from_template(source.streams.audio[0])
            self._packets = (packet for packet in source.demux(source.streams.audio[0]) if packet.dts is not None)
            self._take()

    def write_until(self, seconds: float) -> None:
        """Copy the packets that start before a time. Audio ends at the first damaged packet."""
        while self._next is not None and float(self._next.dts * self._next.time_base) < seconds:
            self._next.stream = self._stream
            self._target.mux(self._next)
            self._take()

    def _take(self) -> None:
        try:
            self._next = next(self._packets, None)
        except av.FFmpegError:
            self._next = None


def _draw(picture: np.ndarray, index: int, annotation: _Annotation) -> np.ndarray:
    """The frame with boxes and labels, cropped to even sides as the pixel format requires."""
    height, width = (side - side % 2 for side in picture.shape[:2])
    drawn = np.ascontiguousarray(picture[:height, :width])
    thickness = max(1, round(min(height, width) / 240))
    second = int(index / annotation.fps / BIN)
    for shown in annotation.tracks:
        track = shown.track
        if track.frames[0] <= index <= track.frames[-1]:
            box = [round(float(np.interp(index, track.frames, side))) for side in track.boxes.T]
            score = shown.scores.get(second)
            colour = (128, 128, 128) if score is None else FAKE if score >= 0.5 else REAL
            cv2.rectangle(drawn, box[:2], box[2:], colour, thickness, cv2.LINE_AA)
            text = f"track {track.number}" + ("" if score is None else f": {score:.2f}")
            _label(drawn, text, (box[0], box[1]), colour, thickness, above=True)
    colour = FAKE if annotation.probability >= 0.5 else REAL
    _label(drawn, f"fake: {annotation.probability:.2f}", (0, 0), colour, thickness, above=False)
    return drawn


def _label(
    picture: np.ndarray, text: str, corner: Sequence[int], colour: tuple[int, int, int], thickness: int, above: bool
) -> None:
    """White text on a coloured background, kept inside the picture; ``corner`` is its lower or upper left corner."""
    font, scale, margin = cv2.FONT_HERSHEY_SIMPLEX, 0.45 * max(thickness, 1), 3 * thickness
    (width, height), below = cv2.getTextSize(text, font, scale, thickness)
    full = (width + 2 * margin, height + below + 2 * margin)
    left = min(max(corner[0], 0), max(picture.shape[1] - full[0], 0))
    top = max(corner[1] - full[1], 0) if above else corner[1]
    cv2.rectangle(picture, (left, top), (left + full[0], top + full[1]), colour, cv2.FILLED)
    place = (left + margin, top + margin + height)
    cv2.putText(picture, text, place, font, scale, (255, 255, 255), thickness, cv2.LINE_AA)
