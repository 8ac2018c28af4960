"""Counting the frames of a video without decoding it."""

import av

from dfdc.system.workers.pool import progressed
from dfdc.video.h264 import Doubt
from dfdc.video.order import MAX_REORDERED, OrderCount, most_reordered, read_parameters
from dfdc.video.reading import OpenVideo, picture_stream
from dfdc.video.selective import ONLY_PICTURES, groups_of


def count_frames(video: OpenVideo) -> int | None:
    """The number of frames of a video if it is certain without decoding, else None: for ``read_frames``.

    It is certain for most H.264 videos in MP4 files, unless the pictures themselves are damaged.
    """
    container = video.container()
    try:
        counted = _count(container, picture_stream(container))
        container.seek(0)
    except (Doubt, av.FFmpegError, ValueError, MemoryError):
        container.close()
        return None
    video.keep(container)
    return counted


def _count(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> int:
    """The number of frames that decoding everything gives, in the order of their time stamps, if no data are damaged.

    Reads all packets but decodes none. Raises Doubt if that is not certain, and av.FFmpegError if reading fails.
    """
    if not stream.frames:
        raise Doubt
    parameters = read_parameters(stream.codec_context.extradata or b"")
    count = OrderCount(parameters)
    frames, latest = 0, -(2**63)
    for group in groups_of(container, stream, stream.frames, stream.frames):
        if frames == 0 and group[0].types - ONLY_PICTURES:  # it may contain other parameters
            raise Doubt
        times = [picture.packet.pts for picture in group]
        counts = [count(picture.slices) for picture in group]
        by_time = [of_picture for _, of_picture in sorted(zip(times, counts, strict=True))]
        if min(times) <= latest or len(set(times)) < len(times) or by_time != sorted(set(counts)):
            raise Doubt
        # With a smaller buffer than pictures need, a decoder outputs frames late or drops them.
        if most_reordered(counts) > min(parameters.reordered or 0, MAX_REORDERED):
            raise Doubt
        frames, latest = frames + len(group), max(times)
        progressed()
    return frames
