"""Selective decoding of H.264 videos: only the packets that the wanted frames depend on.

A frame's number is its position among all frames that the decoder outputs, which cannot be determined from container
headers. It can be determined from the packets if each packet is one frame, and frames are output in the order of their
time stamps: then a frame's number is the rank of its time stamp. That is so if an earlier full decoding gave exactly as
many frames as the file has packets, in the order of their time stamps, or if ``counting`` finds that a decoder does
so unless the file is damaged.

Two kinds of packets can then be skipped (ITU-T H.264, 7.4.1 and 7.4.1.2.4): all packets from one IDR picture to the
next if none of their frames is wanted, since no reference crosses an IDR picture; and non-reference pictures that are
not wanted themselves. Skipped packets must contain nothing but pictures.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av

from dfdc.video.h264 import (
    DELIMITER,
    FILLER,
    HARMLESS_SEI,
    IDR,
    SEI,
    SLICE,
    Doubt,
    is_reference,
    length_prefix,
    nal_type,
    nal_units,
    sei_types,
)

# The largest group of pictures, in bytes; its packets are held in memory until it is known which are needed.
MAX_GROUP = 32_000_000
ONLY_PICTURES = {SLICE, IDR, SEI, DELIMITER, FILLER}
# Errors are not concealed, because the result of concealment depends on what was decoded before. If a stream does not
# specify its reordering depth, the decoder buffers as many frames as the standard allows.
OPTIONS = {"err_detect": "explode", "strict": "strict"}


@dataclass(frozen=True)
class _Picture:
    """A packet, the types of its NAL units, and those that are slices."""

    packet: av.Packet
    types: set[int]
    slices: list[memoryview]

    @property
    def idr(self) -> bool:
        return IDR in self.types

    @property
    def reference(self) -> bool:
        return any(map(is_reference, self.slices))


def decode_wanted(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    wanted: Callable[[int], bool],
    end: int,
    counted: int,
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yield (index, frame) for frame 0, all wanted frames before ``end``, and frames they depend on, in order.

    ``counted`` is the number of frames that a full decoding gave, without errors and in the order of their time stamps.
    Raises Doubt if an assumption turns out not to hold; frames yielded before that are correct.
    """
    expected: deque[tuple[int, int]] = deque()  # time stamps and numbers of the next frames
    try:
        for numbers, packets in _needed(container, stream, wanted, end, counted):
            expected.extend(numbers)
            for packet in packets:
                for frame in stream.codec_context.decode(packet):
                    # The time stamp reveals dropped or reordered frames.
                    if not expected or frame.pts != expected[0][0]:
                        raise Doubt
                    number = expected.popleft()[1]
                    if number >= end:
                        return
                    yield number, frame
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise Doubt from error
    if expected:
        raise Doubt


def _needed(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    wanted: Callable[[int], bool],
    end: int,
    counted: int,
) -> Iterator[tuple[list[tuple[int, int]], list[av.Packet | None]]]:
    """Packets to decode, with the time stamps and numbers of their frames in order; the packet None is the end."""
    if end < 1:
        raise Doubt
    stream.codec_context.options = {**stream.codec_context.options, **OPTIONS}
    first, latest = 0, -(2**63)
    for group in groups_of(container, stream, end, counted):
        times = sorted(picture.packet.pts for picture in group)
        if times[0] <= latest or len(set(times)) < len(times):
            raise Doubt
        number = {time: first + rank for rank, time in enumerate(times)}
        needed = {time for time, n in number.items() if n < end and wanted(n)}
        if first == 0:
            # The first frame determines the video's size, and its packet may hold encoder information for all others.
            needed.add(group[0].packet.pts)
        last = max((place for place, picture in enumerate(group) if picture.packet.pts in needed), default=-1)
        packets = [picture.packet for picture in group[: last + 1] if picture.reference or picture.packet.pts in needed]
        yield sorted((packet.pts, number[packet.pts]) for packet in packets), packets
        first, latest = first + len(group), times[-1]
    yield [], [None]


def groups_of(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, end: int, counted: int
) -> Iterator[list[_Picture]]:
    """The groups of pictures from one IDR picture to the next, in decoding order, up to frame ``end - 1``."""
    if stream.codec_context.name != "h264" or stream.frames != counted:
        raise Doubt
    prefix = length_prefix(stream.codec_context.extradata or b"")
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
    units = list(nal_units(memoryview(packet), prefix))
    types = {nal_type(unit) for unit in units}
    # The first packet is always decoded, so it may contain anything.
    if not first:
        if types - ONLY_PICTURES:
            raise Doubt
        if any(not sei_types(unit) <= HARMLESS_SEI for unit in units if nal_type(unit) == SEI):
            raise Doubt
    return _Picture(packet, types, [unit for unit in units if nal_type(unit) in (SLICE, IDR)])
