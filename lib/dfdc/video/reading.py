"""Reading videos: the metadata of the container, and frames in order.

Frames are numbered from 0 in presentation order, regardless of their time stamps (as in the published system). They
are counted by decoding, because headers are unreliable.

Rotation tags are applied only here, so that all stages see the same upright frames and all boxes refer to them.
"""

import contextlib
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import av
import numpy as np

from dfdc.system.errors import VideoError
from dfdc.system.workers.pool import progressed
from dfdc.video.boxes import Box
from dfdc.video.h264 import Doubt
from dfdc.video.selective import decode_wanted
from dfdc.video.upright import Converter, upright_size

av.logging.set_level(av.logging.PANIC)  # a damaged video is reported in a table, not on the terminal

# Allowed containers. FFmpeg also supports playlists, with which a malicious file could make it read other files.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,h264,hevc"


T = TypeVar("T")
_Convert = Callable[[int, av.VideoFrame, Converter], T]  # takes a frame's index, the frame, and the video's converter


@dataclass
class OpenVideo:
    """A video, and its properties as determined by reading it.

    ``fps`` is the average frame rate that the container states, 0.0 if it states none. ``frames_read`` is the number of
    decoded frames. ``damage`` is the error at which decoding stopped, or None; ``spoilt`` are the indices of frames
    that the decoder could not fully decode and concealed; ``in_order`` is whether every decoded frame has a time stamp
    later than the previous one.
    """

    path: Path
    fps: float
    width: int = 0
    height: int = 0
    frames_read: int = 0
    damage: str | None = None
    spoilt: list[int] = field(default_factory=list)
    in_order: bool = False
    max_pixels: int | None = None
    _opened: av.container.InputContainer | None = field(default=None, repr=False, compare=False)

    def container(self) -> av.container.InputContainer:
        """The open container, to be closed by the caller. The first call reuses that of ``open_video``, because opening
        takes as long as decoding 3 frames."""
        opened, self._opened = self._opened, None
        return opened or open_container(self.path)

    def keep(self, container: av.container.InputContainer) -> None:
        """Reuse a container of the video, which is at its start, for the next call of ``container``."""
        self._opened = container


def check_file(path: Path) -> None:
    """Raise VideoError with the reason if a path is not that of a file with something in it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise VideoError("the file is missing") from None
    except (OSError, ValueError) as error:
        raise VideoError(f"it cannot be opened ({error_in_words(error)})") from None
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for somebody who writes into it
        raise VideoError("it is not a file")
    if found.st_size == 0:
        raise VideoError("the file is empty")


def open_video(path: str | Path, max_pixels: int | None = None) -> OpenVideo:
    """Open a file, check that it is a video, and read its frame rate.

    Raises VideoError with the reason if it is missing, empty, not a video, has no video stream, or pictures of more
    than ``max_pixels``. If they become so large later, the video is damaged there.
    """
    path = Path(path)
    check_file(path)
    container = open_container(path)
    stream = picture_stream(container)
    if stream.codec_context is None:
        container.close()
        raise VideoError("its codec is unknown")
    width, height = stream.codec_context.width, stream.codec_context.height
    if max_pixels is not None and width * height > max_pixels:
        container.close()
        raise VideoError(f"its pictures of {width}x{height} have more than {max_pixels:,} pixels (data.max_pixels)")
    return OpenVideo(
        path, max_pixels=max_pixels, fps=float(stream.average_rate or stream.guessed_rate or 0), _opened=container
    )


def read_frames(
    video: OpenVideo, wanted: Callable[[int], bool] | None = None, end: int | None = None, counted: int | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a video and yield (index, frame) for the wanted frames, in order.

    A frame is an upright RGB uint8 array, height x width x 3. Only wanted frames are converted to RGB; only a few are
    held in memory at a time, and nothing is read after frame ``end - 1`` if ``end`` is not None. Sets ``video.width``,
    ``height`` and ``frames_read``. If the data are damaged, the frames before the damage are yielded and
    ``video.damage`` is set; raises VideoError if there are none.

    ``counted`` is the number of frames, from ``counting.count_frames`` or if the video has been decoded before to its
    end, in order, without damage or spoilt frames. Unwanted frames are then not decoded if the wanted frames certainly
    do not depend on them, and damage to them is not noticed. If damage is met, the rest is read as without ``counted``.
    """

    def picture(_: int, frame: av.VideoFrame, converter: Converter) -> np.ndarray:
        return converter.whole(frame, video.width, video.height)

    yield from _read(video, picture, wanted or (lambda _: True), end, counted if wanted else None)


def read_crops(
    video: OpenVideo, boxes: Mapping[int, Sequence[Box]], counted: int | None = None
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Decode a video and yield (index, crops) for each index in ``boxes`` that exists, in order.

    ``boxes`` are (x1, y1, x2, y2) in whole pixels. A crop equals that part of the frame from ``read_frames``, clipped
    to the frame, but is faster because only the crop is converted to RGB. Otherwise like ``read_frames``, except that
    the video is not opened if ``boxes`` is empty.
    """

    def crops(index: int, frame: av.VideoFrame, converter: Converter) -> list[np.ndarray]:
        return converter.crops(frame, video.width, video.height, boxes[index])

    if boxes:
        yield from _read(video, crops, boxes.__contains__, max(boxes) + 1, counted)


def _read(
    video: OpenVideo, convert: _Convert[T], wanted: Callable[[int], bool], end: int | None, counted: int | None
) -> Iterator[tuple[int, T]]:
    video.frames_read, video.damage, video.spoilt = 0, None, []
    last = -1
    if counted is not None:
        with contextlib.suppress(Doubt):
            for index, picture in _read_wanted(video, convert, wanted, counted if end is None else end, counted):
                last = index
                yield index, picture
            return
    yield from _read_from_start(video, convert, lambda index: index > last and wanted(index), end)


def _read_wanted(
    video: OpenVideo, convert: _Convert[T], wanted: Callable[[int], bool], end: int, counted: int
) -> Iterator[tuple[int, T]]:
    with video.container() as container:
        stream = _decoded_stream(container, video)
        converter = Converter()
        for index, frame in decode_wanted(container, stream, wanted, end, counted):
            progressed()
            if frame.is_corrupt:
                raise Doubt
            video.frames_read = index + 1
            if index == 0:
                video.width, video.height = upright_size(frame)
            if wanted(index):
                try:
                    picture = convert(index, frame, converter)
                except (av.FFmpegError, ValueError, MemoryError) as error:
                    raise Doubt from error
                yield index, picture
    video.frames_read, video.in_order = min(end, counted), True


def _read_from_start(
    video: OpenVideo, convert: _Convert[T], wanted: Callable[[int], bool], end: int | None
) -> Iterator[tuple[int, T]]:
    video.frames_read, video.in_order = 0, False
    time = None
    with video.container() as container:
        stream = _decoded_stream(container, video)
        converter = Converter()
        decoded = (frame for packet in packets_of(container, stream) for frame in packet.decode())
        while end is None or video.frames_read < end:
            try:
                frame = next(decoded, None)
            except (av.FFmpegError, ValueError, MemoryError) as error:
                video.damage = error_in_words(error)
                break
            if frame is None:
                break
            progressed()
            index = video.frames_read
            video.frames_read += 1
            video.in_order = frame.pts is not None and (index == 0 or (video.in_order and time < frame.pts))
            time = frame.pts
            if index == 0:
                video.width, video.height = upright_size(frame)
            if frame.is_corrupt:
                video.spoilt.append(index)
            if wanted(index):
                try:
                    picture = convert(index, frame, converter)
                except (av.FFmpegError, ValueError, MemoryError) as error:
                    video.damage = error_in_words(error)
                    break
                yield index, picture
    if video.frames_read == 0:
        raise VideoError(f"no frame can be decoded ({video.damage or 'the video has no frames'})")


def partly_decoded(frames: Sequence[int]) -> str:
    """Spoilt frames as the reason why a video or a clip is damaged."""
    return f"frames that could be decoded in part only: {', '.join(map(str, frames[:3]))}{', …' * (len(frames) > 3)}"


def file_url(path: Path) -> str:
    """A path for FFmpeg, which would take a name such as ``12:30.mp4`` or ``concat:a.mp4`` for another protocol."""
    return f"file:{path}"


def open_container(path: Path) -> av.container.InputContainer:
    """Open a video file with FFmpeg, which may read no other file. Raises VideoError with the reason if it cannot."""
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        return av.open(file_url(path), metadata_errors="ignore", options=options)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise VideoError(f"it cannot be opened as a video ({error_in_words(error)})") from error


def picture_stream(container: av.container.InputContainer) -> av.video.stream.VideoStream:
    """The first video stream. Raises VideoError if there is none."""
    if not container.streams.video:
        raise VideoError("it has no video stream")
    return container.streams.video[0]


def packets_of(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.Packet]:
    """The packets of a stream, and at last an empty one, for which a decoder gives what it holds back.

    PyAV marks the wanted streams in an array that has room for those that the file had when it was opened. If more have
    come by the end (the sound of an FLV file may begin late), it reads beyond that array, and what happens to be there
    decides whether it raises IndexError.
    """
    with contextlib.suppress(IndexError):
        yield from container.demux(stream)


def _decoded_stream(container: av.container.InputContainer, video: OpenVideo) -> av.video.stream.VideoStream:
    stream = picture_stream(container)
    stream.thread_count = 1  # callers read several videos in parallel instead
    if video.max_pixels is not None:
        stream.codec_context.options = {"max_pixels": str(video.max_pixels)}
    return stream


def error_in_words(error: BaseException) -> str:
    """What an error says, to go on with in a sentence."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".").lower()
