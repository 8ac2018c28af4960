"""The data set on disk: training parts with their metadata.json, test videos, labels."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dfdc.system.errors import UserError

# How the names of video files end, in small or in capital letters.
VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".3gp", ".flv", ".wmv")


def find_parts(root: str | Path) -> list[str]:
    """The names of the training parts under ``root``: its folders dfdc_train_part_*, in natural order."""
    names = [path.name for path in Path(root).glob("dfdc_train_part_*") if path.is_dir()]
    return sorted(
        names,
        key=lambda name: [int(digits) if digits.isdigit() else digits for digits in re.split(r"(\d+)", name)],
    )


def read_metadata(path: str | Path) -> dict[str, dict[str, str]]:
    """Read and check a part's metadata.json: {video: {"label", "split", "original"}}.

    Raises UserError if it is missing, is not JSON, or an entry is not as it should be: each needs a label of
    REAL or FAKE, and a FAKE the name of a REAL video of the same part as its original.
    """
    path = Path(path)
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"The training part {path.parent} has no metadata.json, which says which of its videos are fake and what "
            "they were made from. Extract the part's archive again, or leave the part out of data.parts in the config."
        ) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}). Extract it again from the part's archive.") from error
    if not isinstance(metadata, dict) or not metadata:
        raise UserError(f"{path} must hold an object that names at least one video: {{video: {{label: …}}}}.")
    for name, entry in metadata.items():
        if fault := _fault(name, entry, metadata):
            raise UserError(f"{path}: the entry of {name} {fault}. Correct the entry or extract the file again.")
    return metadata


def _fault(name: str, entry: object, metadata: Mapping) -> str:
    if not isinstance(entry, dict) or entry.get("label") not in ("REAL", "FAKE"):
        return "needs a label of REAL or FAKE"
    if entry["label"] == "REAL":
        return ""
    original = entry.get("original")
    if not original:
        return "is FAKE and names no original (the real video that it was made from)"
    if (
        not isinstance(original, str)
        or not isinstance(metadata.get(original), dict)
        or metadata[original].get("label") != "REAL"
    ):
        return f"names {original} as its original, which is no REAL video of this part"
    return ""


def test_videos(folder: str | Path) -> list[Path]:
    """The video files of a folder, sorted by name."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if is_video(entry.name))


def is_video(name: str) -> bool:
    """Whether a file is a video by its name, see ``VIDEO_SUFFIXES``."""
    return name.lower().endswith(VIDEO_SUFFIXES)


def shard_of(name: str, shards: int) -> int:
    """The shard, 0 to ``shards - 1``, of a test video. It depends on the name alone: a new video moves no other."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % shards


def shard_videos(folder: str | Path, shard: int, shards: int) -> list[Path]:
    """The test videos of one shard, sorted by name."""
    return [path for path in test_videos(folder) if shard_of(path.name, shards) == shard]


def listing(metadata: str) -> str:
    """A hash over the names and sizes of the videos beside a metadata.json; touching them changes nothing.

    Raises FileNotFoundError for the metadata.json if there is none.
    """
    Path(metadata).stat()
    with os.scandir(Path(metadata).parent) as entries:
        sizes = sorted((entry.name, _size(entry)) for entry in entries if is_video(entry.name))
    return hashlib.blake2b(repr(sizes).encode(), digest_size=16).hexdigest()


def _size(entry: os.DirEntry) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # a link to nothing
        return -1


def fingerprint(paths: Sequence[Path], sample: int = 65536) -> str:
    """A hash over names, sizes, and the first and last ``sample`` bytes of files; touching them changes nothing.

    What is no file that can be read (a folder, a link to nothing) counts by its name alone.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                content = file.read(sample)
                file.seek(max(size - sample, 0))
                content += file.read(sample)
        except OSError:
            size, content = -1, b""
        digest.update(f"{path.name}\0{size}\0".encode() + content)
    return digest.hexdigest()
