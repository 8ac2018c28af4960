"""Decoding no more of an H.264 video than its wanted frames need.

A frame's number is its place among all frames that a decoder gives, and what a decoder will give cannot be told from
a container's headers. It can be told from the packets if an earlier decoding to the end gave exactly as many frames as
the file has packets, in the order of their time stamps: then each packet is one frame, and the rank of its time stamp
is its number. Two kinds of packets can then be left out (ITU-T H.264, 7.4.1 and 7.4.1.2.4): all between one IDR
picture and the next if none of their frames is wanted, since nothing refers across an IDR picture; and pictures to
which no other refers, if they are not wanted themselves. Nothing but pictures may hide in what is left out.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av

# The packets of a group of pictures are held until it is known which are needed. They have no more bytes than this.
MAX_GROUP = 32_000_000
# Types of NAL units: slices of pictures, the latter of IDR pictures, and what says nothing beyond its own picture.
SLICE, IDR, SEI, DELIMITER, FILLER = 1, 5, 6, 9, 12
# Of the supplemental information (SEI, annex D) that which says nothing beyond its own picture, or changes no pixels:
# buffering period, picture timing, captions.
HARMLESS_SEI = {0, 1, 4}
# Damage is not covered up, since how that looks depends on what was decoded before. Where a stream does not say how
# far its frames are reordered, the decoder waits for as many as the standard allows.
OPTIONS = {"err_detect": "explode", "strict": "strict"}


class Doubt(Exception):
    """It is not certain that leaving something out would change nothing: decode from the start."""


@dataclass(frozen=True)
class _Picture:
    """A packet, whether it is an IDR picture, and whether others may refer to it."""

    packet: av.Packet
    idr: bool
    reference: bool


def decode_wanted(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    wanted: Callable[[int], bool],
    end: int,
    counted: int,
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Give (index, frame) for frame 0 and all wanted frames before ``end``, and for others that they need, in order.

    ``counted`` is how many frames a decoding to the end gave, without an error, in the order of their time stamps.
    Raises Doubt as soon as something is not as it should be; what was given before that is right.
    """
    coming: deque[tuple[int, int]] = deque()  # time stamp and number of the frames to be given
    try:
        for numbers, packets in _needed(container, stream, wanted, end, counted):
            coming.extend(numbers)
            for packet in packets:
                for frame in stream.codec_context.decode(packet):
                    # A frame that was dropped, or came in another order, shows by its time.
                    if not coming or frame.pts != coming[0][0]:
                        raise Doubt
                    number = coming.popleft()[1]
                    if number >= end:
                        return
                    yield number, frame
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise Doubt from error
    if coming:
        raise Doubt


def _needed(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    wanted: Callable[[int], bool],
    end: int,
    counted: int,
) -> Iterator[tuple[list[tuple[int, int]], list[av.Packet | None]]]:
    """Packets to decode, with the time stamps and numbers of their frames in order; None is the end."""
    if end < 1:
        raise Doubt
    first, latest = 0, -(2**63)
    for group in _groups(container, stream, end, counted):
        times = sorted(picture.packet.pts for picture in group)
        if times[0] <= latest or len(set(times)) < len(times):
            raise Doubt
        number = {time: first + rank for rank, time in enumerate(times)}
        needed = {time for time, n in number.items() if n < end and wanted(n)}
        if first == 0:
            # The first frame has the video's size, and what its packet says of the encoder is for all others, too.
            needed.add(group[0].packet.pts)
        last = max((place for place, picture in enumerate(group) if picture.packet.pts in needed), default=-1)
        chosen = [one.packet for one in group[: last + 1] if one.reference or one.packet.pts in needed]
        yield sorted((packet.pts, number[packet.pts]) for packet in chosen), chosen
        first, latest = first + len(group), times[-1]
    yield [], [None]


def _groups(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, end: int, counted: int
) -> Iterator[list[_Picture]]:
    """The pictures from one IDR picture to the next, in the order of decoding, as far as frame ``end - 1`` needs."""
    prefix = _length_prefix(stream, counted)
    stream.codec_context.options = OPTIONS
    group: list[_Picture] = []
    size = 0
    for read, packet in enumerate(container.demux(stream)):
        if packet.size == 0:
            if read != counted:
                raise Doubt
            break
        picture = _picture(packet, prefix, read == 0)
        if picture.idr and group:
            yield group
            group, size = [], 0
            if read >= end:
                return
        group.append(picture)
        size += packet.size
        if not group[0].idr or size > MAX_GROUP:
            raise Doubt
    yield group


def _picture(packet: av.Packet, prefix: int, first: bool) -> _Picture:
    if packet.pts is None or packet.is_discard or packet.is_corrupt or packet.has_sidedata("new_extradata"):
        raise Doubt
    types, reference = set(), False
    for unit in _nal_units(packet, prefix):
        kind = unit[0] & 31
        types.add(kind)
        reference = reference or (kind in (SLICE, IDR) and unit[0] & 0x60 != 0)  # nal_ref_idc
        if not first and kind == SEI and not _sei_types(unit) <= HARMLESS_SEI:
            raise Doubt
    # What the first packet holds is decoded in any case.
    if not first and types - {SLICE, IDR, SEI, DELIMITER, FILLER}:
        raise Doubt
    return _Picture(packet, IDR in types, reference)


def _length_prefix(stream: av.video.stream.VideoStream, counted: int) -> int:
    """The number of bytes before a NAL unit that hold its length (ISO/IEC 14496-15), in H.264 in an MP4 file."""
    extradata = stream.codec_context.extradata
    if stream.codec_context.name != "h264" or stream.frames != counted or not extradata or extradata[0] != 1:
        raise Doubt
    return (extradata[4] & 3) + 1


def _nal_units(packet: av.Packet, prefix: int) -> Iterator[memoryview]:
    data, place = memoryview(packet), 0
    while place < len(data):
        length = int.from_bytes(data[place : place + prefix], "big")
        place += prefix + length
        if length == 0 or place > len(data):
            raise Doubt
        yield data[place - length : place]


def _sei_types(unit: memoryview) -> set[int]:
    """The types of the messages in a NAL unit of supplemental information (7.3.2.3)."""
    data = bytes(unit[1:]).replace(b"\0\0\3", b"\0\0").rstrip(b"\0")
    types, place = set(), 0
    while place < len(data) - 1:  # the last byte is the stop bit
        header = []
        for _ in ("type", "size"):
            number = 0
            while data[place : place + 1] == b"\xff":
                number, place = number + 255, place + 1
            if place >= len(data):
                raise Doubt
            header.append(number + data[place])
            place += 1
        types.add(header[0])
        place += header[1]
    return types
