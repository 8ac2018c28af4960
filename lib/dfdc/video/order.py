"""The order in which H.264 pictures are output (ITU-T H.264), found without decoding. Rare features raise Doubt."""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from dfdc.video.h264 import IDR, Doubt, is_reference, nal_type

# Profiles whose parameters include the chroma format (7.3.2.1.1).
HIGH_PROFILES = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
# Longer parameter sets than this many bytes are not read, nor longer codes than this many bits.
MAX_PARAMETERS, MAX_CODE = 1024, 32
# The greatest number of reordered pictures that the standard allows (A.3.1).
MAX_REORDERED = 16
# The parts of a slice header that are read, at most 17 bytes, are within this many bytes even if all zeros are escaped.
SLICE_HEADER = 32
CUSTOM_ASPECT_RATIO = 255


@dataclass(frozen=True)
class Parameters:
    """The parameters of a stream of frames (not fields) that define the output order.

    ``frame_num_bits`` and ``order_bits`` are the lengths of frame_num and pic_order_cnt_lsb; ``order_bits`` is 0 if
    pictures are output in decoding order. ``reordered`` is the greatest number of pictures that may precede a picture
    in decoding order and follow it in output order; None if not specified.
    """

    frame_num_bits: int
    order_bits: int
    reordered: int | None


def read_parameters(extradata: bytes) -> Parameters:
    """The parameters in the decoder configuration of an MP4 file. Raises Doubt if there are several sets."""
    sequences, place = _units(extradata, 5, 0x1F)
    pictures, _ = _units(extradata, place, 0xFF)
    if len(sequences) != 1 or not pictures:
        raise Doubt
    for unit in pictures:
        bits = _Bits(unit[1:MAX_PARAMETERS])
        bits.golomb(), bits.golomb(), bits.take(1)
        if bits.take(1):  # the order of the fields of a frame
            raise Doubt
    return _sequence_parameters(_Bits(sequences[0][1:MAX_PARAMETERS]))


def _units(extradata: bytes, place: int, mask: int) -> tuple[list[bytes], int]:
    """The NAL units of a list in the decoder configuration, and the place after it."""
    units = []
    for _ in range(int.from_bytes(extradata[place : place + 1]) & mask):
        size = int.from_bytes(extradata[place + 1 : place + 3])
        units.append(extradata[place + 3 : place + 3 + size])
        place += 2 + size
    return units, place + 1


class _Bits:
    """Reads the bits of a NAL unit from after its header. Raises Doubt if there are not enough."""

    def __init__(self, data: bytes) -> None:
        data = data.replace(b"\0\0\3", b"\0\0")  # 7.4.1
        self.value, self.left = int.from_bytes(data), 8 * len(data)

    def take(self, count: int) -> int:
        """The next ``count`` bits, an unsigned number."""
        self.left -= count
        if self.left < 0:
            raise Doubt
        return self.value >> self.left & (1 << count) - 1

    def golomb(self) -> int:
        """The next unsigned number in exponential Golomb code (9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > MAX_CODE:
                raise Doubt
        return (1 << zeros) - 1 + self.take(zeros)


def _sequence_parameters(bits: _Bits) -> Parameters:
    """Read a sequence parameter set (7.3.2.1.1)."""
    profile = bits.take(24) >> 16
    bits.golomb()
    if profile in HIGH_PROFILES:
        if bits.golomb() == 3 and bits.take(1):  # colour planes are coded as separate pictures
            raise Doubt
        bits.golomb(), bits.golomb(), bits.take(1)
        if bits.take(1):  # scaling matrices
            raise Doubt
    frame_num_bits, order_type = bits.golomb() + 4, bits.golomb()
    if order_type not in (0, 2):
        raise Doubt
    order_bits = bits.golomb() + 4 if order_type == 0 else 0
    bits.golomb()
    gaps = bits.take(1)
    bits.golomb(), bits.golomb()
    frames_only = bits.take(1)
    if gaps or not frames_only:
        raise Doubt
    bits.take(1)
    if bits.take(1):
        for _ in range(4):  # cropping
            bits.golomb()
    return Parameters(frame_num_bits, order_bits, _reordered(bits) if bits.take(1) else None)


def _reordered(bits: _Bits) -> int | None:
    """Read max_num_reorder_frames at the end of the video usability information (E.1.1)."""
    if bits.take(1) and bits.take(8) == CUSTOM_ASPECT_RATIO:
        bits.take(32)
    if bits.take(1):
        bits.take(1)
    if bits.take(1):
        bits.take(4)
        if bits.take(1):
            bits.take(24)
    if bits.take(1):
        bits.golomb(), bits.golomb()
    if bits.take(1):
        bits.take(65)
    buffers = 0
    for _ in range(2):
        if bits.take(1):
            buffers += 1
            _skip_buffer_parameters(bits)
    if buffers:
        bits.take(1)
    bits.take(1)
    if not bits.take(1):
        return None
    bits.take(1)
    for _ in range(4):
        bits.golomb()
    return bits.golomb()


def _skip_buffer_parameters(bits: _Bits) -> None:
    """Skip the parameters of the hypothetical reference decoder (E.1.2)."""
    count = bits.golomb() + 1
    bits.take(8)
    for _ in range(count):
        bits.golomb(), bits.golomb(), bits.take(1)
    bits.take(20)


class OrderCount:
    """Computes the picture order counts (8.2.1) of the pictures of a stream, one after the other in decoding order."""

    def __init__(self, parameters: Parameters) -> None:
        """``parameters`` are those of all pictures."""
        self._parameters = parameters
        self._decoded = 0  # pictures since the last IDR picture
        self._reference = 0  # the count of the last reference picture

    def __call__(self, slices: Sequence[memoryview]) -> int:
        """The count of the next picture: the pictures from one IDR picture to the next are output in ascending order.

        Raises Doubt if ``slices`` are not those of one picture.
        """
        headers = [self._header(unit) for unit in slices]
        starts = [first_block == 0 for first_block, _ in headers]
        orders = {order for _, order in headers}
        if starts[:1] != [True] or any(starts[1:]) or len(orders) != 1:
            raise Doubt
        if nal_type(slices[0]) == IDR:
            self._decoded = self._reference = 0
        else:
            self._decoded += 1
        if not self._parameters.order_bits:
            return self._decoded
        # Of the counts with these low bits, it is the one nearest to that of the last reference picture.
        modulus = 1 << self._parameters.order_bits
        below = modulus // 2 - 1
        count = self._reference + (orders.pop() - self._reference + below) % modulus - below
        if is_reference(slices[0]):
            self._reference = count
        return count

    def _header(self, unit: memoryview) -> tuple[int, int]:
        """The number of the first macroblock of a slice, and the low bits of its picture's count (7.3.3)."""
        bits = _Bits(bytes(unit[1:SLICE_HEADER]))
        first_block = bits.golomb()
        bits.golomb(), bits.golomb(), bits.take(self._parameters.frame_num_bits)
        if nal_type(unit) == IDR:
            bits.golomb()
        return first_block, bits.take(self._parameters.order_bits)


def most_reordered(counts: Sequence[int]) -> int:
    """The greatest number of pictures that precede a picture in decoding order and follow it in output order.

    Numbers above ``MAX_REORDERED`` are not told apart. ``counts`` are the picture order counts in decoding order.
    """
    before: list[int] = []
    most = 0
    for count in counts:
        place = bisect(before, count)
        most = max(most, len(before) - place)
        before.insert(place, count)
        del before[: -1 - MAX_REORDERED]
    return most
