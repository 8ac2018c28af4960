"""The data set on disk: training parts with their metadata.json, and test videos."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dfdc.system.errors import UserError

# Extensions of video files, matched case-insensitively.
VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".3gp", ".flv", ".wmv")


def find_parts(root: str | Path) -> list[str]:
    """The names of the training parts under ``root``: its folders dfdc_train_part_*, in natural order."""
    return in_natural_order(path.name for path in Path(root).glob("dfdc_train_part_*") if path.is_dir())


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Names sorted by the numbers in them, as numbers."""
    return sorted(names, key=lambda name: [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", name)])


def read_metadata(path: str | Path) -> dict[str, dict[str, str]]:
    """Read and check a part's metadata.json: {video: {"label", "split", "original"}}.

    Raises UserError if it is missing, is not JSON, or has an invalid entry: each needs a label of REAL or FAKE, and a
    FAKE video needs an original, the name of a REAL video of the same part.
    """
    path = Path(path)
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"The training part {path.parent} has no metadata.json, which lists its fakes and their originals. "
            "Extract the part's archive again, or remove the part from data.parts in the config."
        ) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}). Extract it again from the part's archive.") from error
    if not isinstance(metadata, dict) or not metadata:
        raise UserError(f"{path} must be an object with at least one video: {{video: {{label: …}}}}.")
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
        return "is FAKE but has no original (the real video that it was made from)"
    if (
        not isinstance(original, str)
        or not isinstance(metadata.get(original), dict)
        or metadata[original].get("label") != "REAL"
    ):
        return f"has the original {original}, which is not a REAL video of this part"
    return ""


def test_videos(folder: str | Path) -> list[Path]:
    """The video files of a folder, sorted by name."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if is_video(entry.name))


def is_video(name: str) -> bool:
    """Whether a file name has the extension of a video, see ``VIDEO_SUFFIXES``."""
    return name.lower().endswith(VIDEO_SUFFIXES)


def shard_of(name: str, shards: int) -> int:
    """The shard, 0 to ``shards - 1``, of a test video. It depends only on the name, so new videos move no others."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % shards


def videos_by_shard(folder: str | Path, shards: int) -> list[list[Path]]:
    """The test videos of each shard, sorted by name."""
    found: list[list[Path]] = [[] for _ in range(shards)]
    for path in test_videos(folder):
        found[shard_of(path.name, shards)].append(path)
    return found


def fingerprint_part(folder: Path) -> str:
    """A hash of a part's metadata.json and of the names and sizes of its videos, independent of modification times and
    of where the part is.

    Raises FileNotFoundError if there is no metadata.json.
    """
    metadata = content_hash(folder / "metadata.json")
    with os.scandir(folder) as entries:
        sizes = sorted((entry.name, _size(entry)) for entry in entries if is_video(entry.name))
    return hashlib.blake2b(repr((metadata, sizes)).encode(), digest_size=16).hexdigest()


def content_hash(path: Path) -> str:
    """A hash of a file's content."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _size(entry: os.DirEntry) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # a broken link
        return -1


def fingerprint(paths: Sequence[Path], sample: int = 65536) -> str:
    """A hash of names, sizes, and the first and last ``sample`` bytes of files, independent of modification times.

    For paths that cannot be read as a file (folders, broken links), only the name is hashed.
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
