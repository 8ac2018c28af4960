"""PNG decoding."""

import numpy as np
import pyarrow as pa
from isal import isal_zlib

from dfdc.data.pictures.png import HEADER, LENGTH, PIXELS, PNG_SIGNATURE, RGB, UP


def decode_png(data: pa.Buffer | bytes) -> np.ndarray:
    """Decode a PNG file written by ``encode_png`` to an RGB uint8 array, height x width x 3.

    Raises ValueError for anything else.
    """
    data = memoryview(data).cast("B")
    if (
        len(data) < PIXELS
        or data[: len(PNG_SIGNATURE)] != PNG_SIGNATURE
        or isal_zlib.crc32(data[12:29]) != _number(data, 29)
    ):
        raise ValueError("the data are not a PNG image")
    width, height, *kind = HEADER.unpack(data[16:29])
    if tuple(kind) != RGB or data[37:PIXELS] != b"IDAT":
        raise ValueError("the PNG image has a format that stores do not use")
    try:
        rows = isal_zlib.decompress(data[PIXELS : PIXELS + _number(data, 33)], bufsize=height * (1 + 3 * width))
    except isal_zlib.error as error:
        raise ValueError(f"the PNG image is damaged ({error})") from error
    rows = np.frombuffer(rows, np.uint8).reshape(height, 1 + 3 * width)
    if (rows[:, 0] != UP).any():
        raise ValueError("the PNG image has a format that stores do not use")
    pixels = rows[:, 1:].copy()
    # Row by row in place, which takes half of the time of np.add.accumulate.
    above = pixels[0]
    for row in pixels[1:]:
        above = np.add(row, above, out=row)
    return pixels.reshape(height, width, 3)


def _number(data: memoryview, place: int) -> int:
    return LENGTH.unpack_from(data, place)[0]
