"""Reading single images.

Pillow decodes them. It is as large as FFmpeg, and a file may be made to exploit a fault in it: strangers' images are
decoded in the same confined worker processes as their videos.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dfdc.system.errors import VideoError
from dfdc.video.reading import check_file, error_in_words

# Extensions of image files, matched case-insensitively.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif", ".gif", ".bmp", ".tif", ".tiff")
# What Pillow may take a file for. MPO files, which some cameras write, begin as JPEG, and Pillow reads them as such.
FORMATS = ("JPEG", "PNG", "WEBP")
ANIMATED = ("PNG", "WEBP")  # the other pictures of an MPO file are of the same scene
# Of ISO base media files, what says that the file holds HEIF images: they begin with their size, "ftyp" and the brand.
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF = (b"avif", b"avis")
# Other images, by their first bytes. They are not read, because each decoder is one more that strangers can exploit.
OTHERS = {b"GIF8": "a GIF", b"BM": "a BMP", b"II*\0": "a TIFF", b"MM\0*": "a TIFF"}
HEAD = 12  # bytes that tell what a file is


@dataclass(frozen=True)
class ReadImage:
    """An upright RGB uint8 picture, height x width x 3, and the number of pictures in its file, of which it is the
    first."""

    picture: np.ndarray
    pictures: int


def is_image_name(name: str) -> bool:
    """Whether a file name has the extension of an image, see ``SUFFIXES``."""
    return name.lower().endswith(SUFFIXES)


def is_image(path: Path) -> bool:
    """Whether a file is an image rather than a video: its first bytes say so, or else its name."""
    head = _head(path)
    return is_image_name(path.name) or bool(_refused(head)) or _is_known(head)


def read_image(path: Path, max_pixels: int | None = None) -> ReadImage:
    """Read an image, turned as its EXIF data say; of an animation the first picture. Transparency is dropped.

    Raises VideoError with the reason if it cannot be read or has more than ``max_pixels``.
    """
    check_file(path)
    if kind := _refused(_head(path)):
        raise VideoError(f"it is {kind} image, which cannot be read here: save it as JPEG or PNG")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images, and of odd data in files
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                if max_pixels is not None and width * height > max_pixels:
                    raise VideoError(f"it has {width}x{height} pixels, more than {max_pixels:,} (data.max_pixels)")
                image.load()
                pictures = getattr(image, "n_frames", 1) if image.format in ANIMATED else 1
                return ReadImage(np.asarray(_rgb(_upright(image))), pictures)
    except VideoError:
        raise
    except Image.DecompressionBombError:
        raise VideoError("it has too many pixels") from None
    except UnidentifiedImageError:
        raise VideoError("it is no JPEG, PNG or WebP image") from None
    except Exception as error:  # whatever a decoder comes upon: SyntaxError, struct.error, OverflowError, …
        raise VideoError(f"it cannot be decoded as an image ({error_in_words(error)})") from error


def _head(path: Path) -> bytes:
    """The first bytes of a file; none if it cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError):
        return b""


def _is_known(head: bytes) -> bool:
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return is_webp or head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def _refused(head: bytes) -> str:
    """The kind of an image that is not read, with its article; empty if the bytes are not those of one."""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    by_brand = "a HEIC" if brand in HEIF else "an AVIF" if brand in AVIF else ""
    return by_brand or next((kind for start, kind in OTHERS.items() if head.startswith(start)), "")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except MemoryError:  # of turning it, not of its EXIF data
        raise
    except Exception:  # odd EXIF data are no reason to refuse the picture
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel, of which converting would clip the upper ones
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    return image.convert("RGB")
