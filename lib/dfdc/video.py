"""Reading videos: what a file says of itself, and its frames one after the other.

Frames are numbered from 0 in the order in which they are shown, whatever their time stamps say (the
published system counts frames too). They are counted by decoding: headers lie.

A rotation tag is honoured here, once, so that every stage sees the same upright pixels and boxes always mean
the frame as this module gives it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from dfdc.errors import UserError, VideoError

av.logging.set_level(av.logging.PANIC)  # a damaged video is reported in a table, not on the terminal

# Containers of videos. Others that FFmpeg knows are lists of files: one could make it read what it is not meant to.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,h264,hevc"


@dataclass
class Video:
    """An open video. ``frames_read`` counts while ``frames`` runs; ``damage`` is set if the data end in an error.

    ``fps`` is the average frame rate that the container states, 0.0 if it states none.
    """

    path: Path
    fps: float
    width: int = 0
    height: int = 0
    frames_read: int = 0
    damage: str | None = None


def open_video(path: str | Path) -> Video:
    """Check that a file is a video that can be decoded, and read its frame rate.

    Raises VideoError with the reason in words if it is missing, empty, not a video or has no picture.
    """
    path = Path(path)
    if not path.exists():
        raise VideoError("the file is missing")
    if not path.is_file():
        raise VideoError("it is not a file")
    if path.stat().st_size == 0:
        raise VideoError("the file is empty")
    with _open(path) as container:
        stream = _picture_stream(container)
        return Video(path, float(stream.average_rate or stream.guessed_rate or 0))


def read_frames(
    video: Video, wanted: Callable[[int], bool] | None = None, end: int | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a video and give (index, frame) for the wanted frames, in order.

    A frame is an RGB uint8 array of height x width x 3, upright. Only wanted frames are converted to RGB;
    decoding stops after frame ``end - 1`` if ``end`` is given. Fills ``video.width``, ``height`` and
    ``frames_read``. Where the data are damaged the frames before the damage are given and ``video.damage``
    says what was wrong; raises VideoError if there was no frame at all.
    """
    video.frames_read, video.damage = 0, None
    with _open(video.path) as container:
        stream = _picture_stream(container)
        stream.thread_count = 1  # whoever wants more speed reads more videos
        decoded = container.decode(stream)
        while end is None or video.frames_read < end:
            try:
                frame = next(decoded, None)
            except (av.FFmpegError, ValueError, MemoryError) as error:
                video.damage = _words(error)
                break
            if frame is None:
                break
            index = video.frames_read
            video.frames_read += 1
            turns = (frame.rotation // 90) % 4  # anticlockwise quarter turns that make the picture upright
            if index == 0:
                size = (frame.width, frame.height)
                video.width, video.height = size if turns % 2 == 0 else size[::-1]
            if wanted is None or wanted(index):
                try:
                    picture = _upright(frame, turns, video)
                except (av.FFmpegError, ValueError, MemoryError) as error:
                    video.damage = _words(error)
                    break
                yield index, picture
    if video.frames_read == 0:
        raise VideoError(f"no frame can be decoded ({video.damage or 'the video has no frames'})")


def check_readable(rows: Sequence[Mapping[str, Any]], folder: Path, max_unreadable: float) -> None:
    """Raise UserError if more than the share ``max_unreadable`` of some videos is unreadable."""
    unreadable = [row for row in rows if row["status"] == "unreadable"]
    if len(unreadable) > max_unreadable * len(rows):
        examples = "".join(f"\n  {row['video']}: {row['reason']}" for row in unreadable[:5])
        raise UserError(
            f"{len(unreadable)} of {len(rows)} videos in {folder} cannot be read, more than data.max_unreadable "
            f"({max_unreadable:.0%}) allows. The disk or the download is more likely broken than the data:{examples}\n"
            "Restore the files, or raise data.max_unreadable in the config if they are to be left out."
        )


def _upright(frame: av.VideoFrame, turns: int, video: Video) -> np.ndarray:
    """The frame as an upright RGB array of the video's size (a stream may change its size on the way)."""
    size = (video.width, video.height) if turns % 2 == 0 else (video.height, video.width)
    rgb = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
    return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb


def _open(path: Path) -> av.container.InputContainer:
    try:
        return av.open(str(path), metadata_errors="ignore", options={"format_whitelist": FORMATS})
    except (av.FFmpegError, ValueError, OSError) as error:
        raise VideoError(f"it cannot be opened as a video ({_words(error)})") from error


def _picture_stream(container: av.container.InputContainer) -> av.video.stream.VideoStream:
    if not container.streams.video:
        raise VideoError("it has no video stream")
    return container.streams.video[0]


def _words(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".").lower()
