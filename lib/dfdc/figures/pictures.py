"""Contact sheets: rows of small pictures with captions, as JPEG files."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dfdc.system.checksums import COMMENT, with_checksum
from dfdc.system.files import atomic_path

GAP, WIDE_GAP = 6, 30  # pixels between pictures, and between groups of them
WORDS, HEAD = 14, 18  # font sizes in pixels
LEADING = 1.45  # line height as a multiple of the font size


@dataclass(frozen=True)
class Row:
    """Pictures side by side, RGB uint8 of any size, with a title line above them and a caption below each."""

    pictures: Sequence[np.ndarray]
    title: str = ""
    captions: Sequence[str] = ()
    second: int | None = None
    """The first picture of a second group, set apart by a wide gap."""


def write_sheet(path: str | Path, title: str, rows: Sequence[Row], height: int) -> None:
    """Write rows of pictures, all ``height`` pixels high, below a title, as a JPEG file."""
    written = io.BytesIO()
    Image.fromarray(sheet(title, rows, height)).save(written, "JPEG", quality=88, subsampling=0, comment=COMMENT)
    with atomic_path(path) as temporary:
        temporary.write_bytes(with_checksum(written.getvalue()))


def sheet(title: str, rows: Sequence[Row], height: int) -> np.ndarray:
    """The same sheet as an RGB uint8 array. Text that is too wide is cut off with …."""
    blocks = [_row(row, height) for row in rows]
    width = max([*(block.width for block in blocks), 640]) + 2 * GAP
    head = _words(title, width - 2 * GAP, HEAD)
    blocks = [head, *blocks]
    canvas = Image.new("RGB", (width, sum(block.height + GAP for block in blocks) + GAP), "white")
    top = GAP
    for block in blocks:
        canvas.paste(block, (GAP, top))
        top += block.height + GAP
    return np.asarray(canvas)


def _row(row: Row, height: int) -> Image.Image:
    pictures = [_fitted(picture, height) for picture in row.pictures]
    height = height if pictures else 0
    captions = [
        _words(caption, picture.width + GAP // 2, WORDS)
        for caption, picture in zip(row.captions, pictures, strict=False)
    ]
    gaps = [WIDE_GAP if number + 1 == row.second else GAP for number in range(len(pictures))]
    width = sum(picture.width + gap for picture, gap in zip(pictures, gaps, strict=True))
    title = [_words(row.title, max(width, 640), WORDS)] if row.title else []
    above = sum(line.height for line in title)
    below = max((caption.height for caption in captions), default=0)
    block = Image.new("RGB", (max([width, *(line.width for line in title)]), above + height + below), "white")
    for line in title:
        block.paste(line, (0, 0))
    left = 0
    for number, picture in enumerate(pictures):
        block.paste(picture, (left, above))
        if number < len(captions):
            block.paste(captions[number], (left, above + height))
        left += picture.width + gaps[number]
    return block


def _fitted(picture: np.ndarray, height: int) -> Image.Image:
    rows, columns = picture.shape[:2]
    size = max(round(columns * height / rows), 1), height
    interpolation = cv2.INTER_AREA if height < rows else cv2.INTER_CUBIC
    return Image.fromarray(cv2.resize(picture, size, interpolation=interpolation))


def _words(text: str, width: int, size: int) -> Image.Image:
    """A line of text no wider than ``width``."""
    font = font_of(size)
    if font.getlength(text) > width:
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        text += "…"
    line = Image.new("RGB", (max(round(font.getlength(text)), 1), round(size * LEADING)), "white")
    ImageDraw.Draw(line).text((0, round(size * (LEADING - 1) / 2)), text, "black", font)
    return line


@cache
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """The font of all words in pictures; the size is in pixels."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)
