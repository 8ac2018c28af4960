"""PNG pictures, the lossless form in which stores keep frames."""

from struct import Struct

import numpy as np
import pyarrow as pa
from isal import isal_zlib

# PNG (ISO/IEC 15948): a signature; IHDR with width, height, and what follows of them for 8 bits a colour, without
# interlacing; all rows in one IDAT, each a filter's number and the filtered pixels. OpenCV takes seven times as long to
# write the same, and twice as long to read it.
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LENGTH, HEADER, RGB, UP = Struct(">I"), Struct(">IIBBBBB"), (8, 2, 0, 0, 0), 2
PIXELS = 41  # where they begin
LEVEL = 2  # of compression, 0 to 3


def encode_png(picture: np.ndarray) -> bytes:
    """An RGB uint8 picture as a PNG file, without loss.

    Other processors may make other bytes of the same picture; the pixels are the same.
    Raises ValueError if it is no such picture.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(f"no PNG can be made of a picture of shape {picture.shape} and type {picture.dtype}")
    height, width, _ = picture.shape
    pixels = picture.reshape(height, -1)
    # Each row less the one above: of PNG's filters the one that is undone fastest, and the files are smaller than
    # with the usual choice among all filters.
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = UP
    rows[0, 1:] = pixels[0]
    np.subtract(pixels[1:], pixels[:-1], out=rows[1:, 1:])
    header = _chunk(b"IHDR", HEADER.pack(width, height, *RGB))
    return PNG_SIGNATURE + header + _chunk(b"IDAT", isal_zlib.compress(rows, LEVEL)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return LENGTH.pack(len(content)) + kind + content + LENGTH.pack(isal_zlib.crc32(content, isal_zlib.crc32(kind)))


def decode_png(data: pa.Buffer | bytes) -> np.ndarray:
    """The RGB uint8 picture, height x width x 3, in a PNG file that ``encode_png`` made.

    Raises ValueError if it is something else.
    """
    data = memoryview(data).cast("B")
    if (
        len(data) < PIXELS
        or data[: len(PNG_SIGNATURE)] != PNG_SIGNATURE
        or isal_zlib.crc32(data[12:29]) != _number(data, 29)
    ):
        raise ValueError("the data are not a PNG picture")
    width, height, *kind = HEADER.unpack(data[16:29])
    if tuple(kind) != RGB or data[37:PIXELS] != b"IDAT":
        raise ValueError("the PNG picture is of another kind than those in stores")
    try:
        rows = isal_zlib.decompress(data[PIXELS : PIXELS + _number(data, 33)], bufsize=height * (1 + 3 * width))
    except isal_zlib.error as error:
        raise ValueError(f"the PNG picture is damaged ({error})") from error
    rows = np.frombuffer(rows, np.uint8).reshape(height, 1 + 3 * width)
    if (rows[:, 0] != UP).any():
        raise ValueError("the PNG picture is of another kind than those in stores")
    return np.add.accumulate(rows[:, 1:], axis=0, dtype=np.uint8).reshape(height, width, 3)


def _number(data: memoryview, place: int) -> int:
    return LENGTH.unpack_from(data, place)[0]
