"""Parsing of H.264 video in MP4 files (ITU-T H.264; ISO/IEC 14496-15): what a packet consists of, and whether its
picture is a reference picture.
"""

from collections.abc import Iterator

# Types of NAL units: slices, slices of IDR pictures, and units that concern only their own picture.
SLICE, IDR, SEI, DELIMITER, FILLER = 1, 5, 6, 9, 12
# Types of supplemental enhancement information (SEI, annex D) that concern only their own picture or do not affect
# pixels: buffering period, picture timing, captions.
HARMLESS_SEI = {0, 1, 4}


class Doubt(Exception):
    """Skipping packets might change the result: decode from the start instead."""


def length_prefix(extradata: bytes) -> int:
    """The number of bytes of the length prefix of NAL units. Raises Doubt if the data are not those of an MP4 file."""
    if len(extradata) < 7 or extradata[0] != 1:
        raise Doubt
    return (extradata[4] & 3) + 1


def nal_units(packet: memoryview, prefix: int) -> Iterator[memoryview]:
    """The NAL units of a packet, whose length prefixes have ``prefix`` bytes. Raises Doubt if the lengths are wrong."""
    place = 0
    while place < len(packet):
        length = int.from_bytes(packet[place : place + prefix])
        place += prefix + length
        if length == 0 or place > len(packet):
            raise Doubt
        yield packet[place - length : place]


def nal_type(unit: memoryview) -> int:
    """The type of a NAL unit."""
    return unit[0] & 31


def is_reference(unit: memoryview) -> bool:
    """Whether a slice belongs to a reference picture."""
    return unit[0] & 0x60 != 0  # nal_ref_idc


def sei_types(unit: memoryview) -> set[int]:
    """The types of the messages in an SEI NAL unit (7.3.2.3)."""
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
