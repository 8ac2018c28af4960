"""Copies of scored videos with face boxes and scores drawn on every frame."""

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageDraw

from dfdc.data.schemas.tracks import Track
from dfdc.figures.pictures import font_of
from dfdc.figures.style import percent
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.videos import BIN, VideoScore
from dfdc.system.errors import VideoError
from dfdc.system.files import atomic_path
from dfdc.system.workers.pool import map_in_order
from dfdc.video.images import read_image
from dfdc.video.reading import file_url, open_container, open_video, packets_of, read_frames

# From the colour-blind-safe palette of Okabe and Ito. The labels give the scores as numbers as well.
REAL, FAKE, GREY = (0, 114, 178), (213, 94, 0), (110, 110, 110)
SMALL = 64  # pixels; a box of less height is grey, because so small a face says little
NO_BREAK = "\N{NO-BREAK SPACE}"
LEAST = 9  # pixels, the smallest font
SECOND = ", this second"
MARK = "dfdc score --annotate"  # in the last bytes of an annotated video, where its metadata are
END = 4096
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
    note: str


def annotate_video(
    target: Path, video: VideoScore, settings: EnsembleSettings, limit: float | None, note: str = ""
) -> str:
    """Write a copy of a scored (readable) video to an MP4 file, with its boxes and scores drawn in.

    Frames are upright and keep their timestamps; the audio is copied. The label below each box has the number of the
    face, from 1, and its score in the current second; the score of the video is in the corner, and ``note`` below it.
    Returns "", or the reason why the file could not be written. The work runs in a separate process, because a video
    can crash the decoder; it is stopped after ``limit`` seconds.
    """
    annotation = _Annotation(video.path, target, video.probability, video.row.fps, _shown(video, settings), note)
    with contextlib.closing(map_in_order(_Writer().prepare, [annotation], 1, limit, lambda _, reason: reason)) as done:
        return next(done)


class FrameReader:
    """Reads single frames of scored videos in a process of its own, because a video can crash the decoder.

    The process starts with the first frame, and stays until ``close``.
    """

    def __init__(self, limit: float | None) -> None:
        """``limit`` is the seconds without progress after which a frame is given up."""
        self._wanted: list[_Frame] = []
        self._read = map_in_order(_Reader().prepare, self._items(), 1, limit, lambda *_: b"")

    def read(self, video: VideoScore, frame: int, settings: EnsembleSettings, width: int) -> bytes:
        """A frame, upright, with the boxes and scores of its faces, as a JPEG file; of an image the whole.

        It is made smaller if it is wider than ``width``. Returns no bytes if the frame cannot be read.
        """
        shown = _shown(video, settings)
        self._wanted.append(_Frame(video.path, frame, video.row.counted, video.row.fps, shown, width, video.is_image))
        return next(self._read, b"")  # it has ended if no process could be started for an earlier one

    def close(self) -> None:
        """End the process."""
        self._read.close()

    def _items(self) -> Iterator["_Frame"]:
        while True:  # the one worker asks for one only when it has finished the last
            yield self._wanted.pop()


@dataclass(frozen=True)
class _Frame:
    source: Path
    frame: int
    counted: int | None
    fps: float
    tracks: tuple[_Shown, ...]
    width: int
    is_image: bool


@dataclass(frozen=True)
class _Reader:
    def prepare(self) -> Callable[[_Frame], bytes]:
        return _read


def _read(wanted: _Frame) -> bytes:
    try:
        for index, picture in _pictures(wanted):
            drawn = np.array(picture)
            _draw_faces(drawn, index, wanted.tracks, wanted.fps, "" if wanted.is_image else SECOND)
            shown = Image.fromarray(drawn)
            shown.thumbnail((wanted.width, 2 * wanted.width))
            file = io.BytesIO()
            shown.save(file, "JPEG", quality=80, optimize=True)
            return file.getvalue()
    except (VideoError, av.FFmpegError, OSError, ValueError, MemoryError, cv2.error):
        pass
    return b""


def _pictures(wanted: _Frame) -> Iterator[tuple[int, np.ndarray]]:
    """The frame, and its number."""
    if wanted.is_image:
        yield 0, read_image(wanted.source).picture
    else:
        opened, frame = open_video(wanted.source), wanted.frame
        yield from read_frames(opened, lambda index: index == frame, frame + 1, wanted.counted)


def _shown(video: VideoScore, settings: EnsembleSettings) -> tuple[_Shown, ...]:
    fps = video.row.fps
    return tuple(
        _Shown(scored.track, {round(start / BIN): score for start, score in scored.over_time(fps, settings)})
        for scored in video.tracks
    )


@dataclass(frozen=True)
class _Writer:
    def prepare(self) -> Callable[[_Annotation], str]:
        return _write


def may_be_replaced(path: Path) -> bool:
    """Whether a path is free, or a video that was annotated here."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - END, 0))
        return MARK.encode() in file.read()


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
    target.metadata["comment"] = MARK
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
        stamps = [packet.pts for packet in packets_of(container, stream) if packet.size]
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
            self._packets = (packet for packet in packets_of(source, source.streams.audio[0]) if packet.dts is not None)
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
    size = _draw_faces(drawn, index, annotation.tracks, annotation.fps, SECOND)
    text = f"probability of fake: {_percent(annotation.probability)} (whole video)"
    corner = _label(text, 0, min(size, width // 20), FAKE if annotation.probability >= 0.5 else REAL)
    _paste(drawn, corner, 0, 0)
    if annotation.note:
        _paste(drawn, _label(annotation.note, corner.shape[1], size, GREY), 0, len(corner))
    return drawn


def _draw_faces(drawn: np.ndarray, index: int, tracks: Sequence[_Shown], fps: float, when: str) -> int:
    """Draw the boxes and labels of a frame's faces into it; ``when`` says of what time scores are, if there is room.

    Returns the size of their font.
    """
    height, width = drawn.shape[:2]
    thickness = max(1, round(min(height, width) / 240))
    size = max(LEAST, round(min(height, width) / 30))
    second = int(index / fps / BIN)
    for shown in tracks:
        track = shown.track
        if track.frames[0] <= index <= track.frames[-1]:
            left, top, right, bottom = (round(float(np.interp(index, track.frames, side))) for side in track.boxes.T)
            score, is_small = shown.scores.get(second), bottom - top < SMALL
            colour = GREY if score is None or is_small else FAKE if score >= 0.5 else REAL
            cv2.rectangle(drawn, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA)
            edge = thickness // 2
            label = _label_of(track.number, score, right - left + 1 + 2 * edge, height - bottom, size, colour, when)
            _paste(drawn, label, left - edge, bottom)
    return size


def _label_of(
    number: int, score: float | None, width: int, room: int, size: int, colour: tuple[int, int, int], when: str
) -> np.ndarray:
    """The label of a face, as wide as its box; shorter if there is too little room below the box."""
    name = f"face{NO_BREAK}{number + 1}"
    if score is None:
        return _label(name, width, size, colour)
    label = _label(f"{name}{when}: {_percent(score)}", width, size, colour)
    return label if len(label) <= room else _label(f"{name}: {_percent(score)}", width, size, colour)


def _percent(score: float) -> str:
    return percent(score).replace(" ", NO_BREAK)


@lru_cache(128)
def _label(text: str, width: int, size: int, colour: tuple[int, int, int]) -> np.ndarray:
    """White words on a coloured ground of a width, on as many lines as they need; on one line for a width of 0.

    The font is smaller if a word is too wide, down to ``LEAST``, from where the ground is wider.
    """
    margin = max(2, size // 4)
    words = text.split(" ") if width else [text]
    while size > LEAST and width and max(map(font_of(size).getlength, words)) > width - 2 * margin:
        size -= 1
    font, lines = font_of(size), [words[0]]
    for word in words[1:]:
        longer = f"{lines[-1]} {word}"
        if font.getlength(longer) <= width - 2 * margin:
            lines[-1] = longer
        else:
            lines.append(word)
    step = round(1.25 * size)
    full = max(width, ceil(max(map(font.getlength, lines))) + 2 * margin)
    ground = Image.new("RGB", (full, step * len(lines) + margin), colour)
    drawing = ImageDraw.Draw(ground)
    for number, line in enumerate(lines):
        drawing.text((full / 2, margin / 2 + step * number), line, "white", font, anchor="ma")
    return np.asarray(ground)


def _paste(picture: np.ndarray, label: np.ndarray, left: int, top: int) -> None:
    """Put a label into the picture at a place, or as near as it lies inside."""
    height, width = (min(sides) for sides in zip(label.shape[:2], picture.shape[:2], strict=True))
    top, left = max(min(top, picture.shape[0] - height), 0), max(min(left, picture.shape[1] - width), 0)
    picture[top : top + height, left : left + width] = label[:height, :width]
