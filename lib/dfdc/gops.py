"""Decoding only those groups of pictures of an H.264 video that hold a wanted frame.

A frame's number is its place among all frames that a decoder gives, and what a decoder will give cannot be told from
a container's headers. It can be told from the packets if three things hold: an earlier decoding to the end gave
exactly as many frames as the file has packets, so that each packet is one frame; a packet is an IDR picture (ITU-T
H.264, 7.4.1.2.4), so that all frames of earlier packets come before it and no later one refers to them; and no
parameter sets or other changes of the stream hide in what is left out. Then the IDR picture's number is the number of
packets before it, and the group that it begins can be left out or decoded for itself.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import av

# Packets that wait until it is known whether their group is wanted hold no more bytes than this.
MAX_WAITING = 32_000_000
# NAL unit types: slices of an IDR picture, and sets of parameters that later slices are read with.
IDR = 5
PARAMETERS = {7, 8, 13, 15}
# Damage is not covered up, since how that looks depends on what was decoded before. Where a stream does not say how
# far its frames are reordered, the decoder waits for as many as the standard allows.
OPTIONS = {"err_detect": "explode", "strict": "strict"}


class Doubt(Exception):
    """It is not certain that leaving something out would change nothing: decode from the start."""


@dataclass
class _Group:
    """A group that is being decoded: the number of its next frame, and the time stamps of those to come."""

    number: int
    times: list[int] = field(default_factory=list)


def decode_wanted_groups(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    wanted: Callable[[int], bool],
    end: int,
    counted: int,
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Give (index, frame) for the first frame, and for all frames of each group that holds a wanted one, in order.

    ``counted`` is how many frames a decoding to the end gave without an error. Reading ends with frame ``end - 1``.
    Raises Doubt as soon as something is not as it should be; what was given before that is right.
    """
    fed: deque[_Group] = deque()
    try:
        for first, packet in _needed_packets(container, stream, wanted, end, counted):
            if packet is not None:
                if not fed or fed[-1].number < first:
                    fed.append(_Group(first))
                heapq.heappush(fed[-1].times, packet.pts)
            for frame in stream.codec_context.decode(packet):
                while not fed[0].times and len(fed) > 1:
                    fed.popleft()
                group = fed[0]
                # A frame that was dropped, or came in another order, shows by its time.
                if not group.times or frame.pts != heapq.heappop(group.times):
                    raise Doubt
                yield group.number, frame
                group.number += 1
                if group.number == end:
                    return
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise Doubt from error
    if any(group.times for group in fed):
        raise Doubt


def _needed_packets(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    wanted: Callable[[int], bool],
    end: int,
    counted: int,
) -> Iterator[tuple[int, av.Packet | None]]:
    """Packets to decode, each with the number of its group's first, and None at the end."""
    if end < 1:
        raise Doubt
    prefix = _length_prefix(stream, counted)
    stream.codec_context.options = OPTIONS
    first, needed = 0, False
    waiting: list[av.Packet] = []
    size = 0
    for read, packet in enumerate(container.demux(stream)):
        if packet.size == 0:
            if read < counted:
                raise Doubt
            break
        types = _nal_types(packet, prefix)
        if (
            packet.pts is None
            or packet.is_discard
            or packet.is_corrupt
            or packet.has_sidedata("new_extradata")
            or types & PARAMETERS
            or (read == 0 and IDR not in types)
        ):
            raise Doubt
        if IDR in types:
            if read >= end:
                break
            first, needed = read, False
            waiting, size = [], 0
        if read == 0:
            # The first frame has the video's size, and what its packet says of the encoder is for all others, too.
            yield 0, packet
        else:
            waiting.append(packet)
            size += packet.size
        # All numbers up to this packet's belong to its group, though not in the order of the packets.
        needed = needed or (read < end and wanted(read)) or size > MAX_WAITING
        if needed:
            yield from ((first, one) for one in waiting)
            waiting, size = [], 0
    yield first, None


def _length_prefix(stream: av.video.stream.VideoStream, counted: int) -> int:
    """The number of bytes before a NAL unit that hold its length (ISO/IEC 14496-15), in H.264 in an MP4 file."""
    extradata = stream.codec_context.extradata
    if stream.codec_context.name != "h264" or stream.frames != counted or not extradata or extradata[0] != 1:
        raise Doubt
    return (extradata[4] & 3) + 1


def _nal_types(packet: av.Packet, prefix: int) -> set[int]:
    """The types of the NAL units in a packet."""
    data, place, types = memoryview(packet), 0, set()
    while place < len(data):
        length = int.from_bytes(data[place : place + prefix], "big")
        place += prefix + length
        if length == 0 or place > len(data):
            raise Doubt
        types.add(data[place - length] & 31)
    return types
