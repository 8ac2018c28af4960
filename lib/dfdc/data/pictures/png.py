"""Constants of the PNG files in stores, shared by encoding and decoding."""

from struct import Struct

# PNG (ISO/IEC 15948): a signature; IHDR with width, height and format (8 bits per channel, not interlaced); all rows in
# one IDAT, each a filter number followed by the filtered pixels. OpenCV takes seven times as long to write this, and
# twice as long to read it.
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LENGTH, HEADER, RGB, UP = Struct(">I"), Struct(">IIBBBBB"), (8, 2, 0, 0, 0), 2
PIXELS = 41  # offset of the compressed pixels
