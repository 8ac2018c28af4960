"""The data set on disk: training parts with their metadata.json, and test videos."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dfdc.system.errors import UserError

# Extensions of video files, matched case-insensitively.
VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".3gp", ".flv", ".wmv")

# The folders that `data.parts: auto` takes: those of DFDC's archives, and of its sample of 400 videos.
PART_NAME = re.compile(r"dfdc_train_part_\d+|train_sample_videos")

LONGEST_NAME = 255  # bytes; the limit of most file systems
SHOWN = 5  # faults in a message


def find_parts(root: str | Path) -> list[str]:
    """The names of the training parts under ``root``, in natural order: its folders dfdc_train_part_N, where N may be
    padded with zeros, and train_sample_videos."""
    return in_natural_order(path.name for path in Path(root).glob("*") if is_part(path.name) and path.is_dir())


def is_part(name: str) -> bool:
    """Whether a folder with that name is one of DFDC's training parts, see ``PART_NAME``."""
    return PART_NAME.fullmatch(name) is not None


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Names sorted by the numbers in them, as numbers."""

    def key(name: str) -> tuple[list[int | str], str]:
        return [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", name)], name

    return sorted(names, key=key)


def read_metadata(path: str | Path) -> dict[str, dict[str, str]]:
    """Read and check a part's metadata.json: {video: {"label", "split", "original"}}.

    Raises UserError with all faults if it is missing, is not JSON, or has invalid entries: each needs the name of a
    file in the part, once, and a label of REAL or FAKE; a FAKE video needs an original, a REAL video of the same part.
    The original may have no entry (in DFDC's sample most have none), but not those of all fakes.
    """
    path = Path(path)
    try:
        metadata = read_entries(path)
    except FileNotFoundError:
        raise UserError(
            f"The training part {path.parent} has no metadata.json, which lists its fakes and their originals. "
            "Extract the part's archive again, or remove the part from data.parts in the config."
        ) from None
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}). Extract it again from the part's archive.") from error
    if not isinstance(metadata, dict) or not metadata:
        raise UserError(f"{path} must be an object with at least one video: {{video: {{label: …}}}}.")
    faults = [
        f"the entry of {name!r} {fault}" for name, entry in metadata.items() if (fault := _fault(entry, metadata))
    ]
    faults += [f"the name {name!r} {fault}" for name in metadata if (fault := _fault_of_name(name))]
    if not faults:
        fakes = [(name, entry["original"]) for name, entry in metadata.items() if entry["label"] == "FAKE"]
        lone = [f"the entry of {name!r} {_not_real(original)}" for name, original in fakes if original not in metadata]
        faults = lone if len(lone) == len(fakes) else []
    if faults:
        rest = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise UserError(f"{path}: {'; '.join(faults[:SHOWN])}{rest}. Correct the entries or extract the file again.")
    return metadata


def read_entries(path: Path) -> Any:
    """The content of a JSON file.

    Raises OSError if it is not a regular file, ValueError if it is not JSON in UTF-8 or an object in it has conflicting
    values for a key, RecursionError if it is nested too deeply.
    """
    if path.exists() and not path.is_file():
        raise OSError("it is not a file")
    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_conflicts)


def _without_conflicts(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if entries.setdefault(key, value) != value:
            raise ValueError(f"{key!r} has several entries, which differ")
    return entries


def _fault(entry: object, metadata: Mapping) -> str:
    if not isinstance(entry, dict) or entry.get("label") not in ("REAL", "FAKE"):
        return "needs a label of REAL or FAKE"
    original = entry.get("original")
    if entry["label"] == "REAL":
        return f"has the original {original!r}, which is not a name" if not isinstance(original, str | None) else ""
    if not original:
        return "is FAKE but has no original (the real video that it was made from)"
    if not isinstance(original, str):
        return _not_real(original)
    if original in metadata and (not isinstance(metadata[original], dict) or metadata[original].get("label") != "REAL"):
        return _not_real(original)
    return ""


def _not_real(original: object) -> str:
    return f"has the original {original}, which is not a REAL video of this part"


def _fault_of_name(name: str) -> str:
    """Why a name cannot be that of a file in a part; empty if it can."""
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        return "is not that of a file in the part"
    try:
        return f"has more than {LONGEST_NAME} bytes" if len(name.encode()) > LONGEST_NAME else ""
    except UnicodeEncodeError:
        return "has characters that do not exist"


def test_videos(folder: str | Path) -> list[Path]:
    """The video files of a folder, sorted by name."""
    # Sorted before they are paths, which take ten times as long to compare.
    return [Path(folder, name) for name in sorted(test_video_names(folder))]


def test_video_names(folder: str | Path) -> set[str]:
    """The names of the video files of a folder."""
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries if is_video(entry.name)}


def is_video(name: str) -> bool:
    """Whether a file name has the extension of a video, see ``VIDEO_SUFFIXES``."""
    return name.lower().endswith(VIDEO_SUFFIXES)


def is_text(name: str) -> bool:
    """Whether the bytes of a file name are UTF-8. Python reads other bytes as surrogates."""
    return as_text(name) == name


def as_text(name: str) -> str:
    """A file name for tables: bytes that are not UTF-8 become escape sequences."""
    return os.fsencode(name).decode(errors="backslashreplace")


def shard_of(name: str, shards: int) -> int:
    """The shard, 0 to ``shards - 1``, of a test video. It depends only on the name, so new videos move no others."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest(), "big") % shards


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
    """A hash of a file's content. Raises OSError if it cannot be read or is not a file (such as a pipe)."""
    if not path.is_file() and path.exists():
        raise OSError(f"{path} is not a file")
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _size(entry: os.DirEntry) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # a broken link
        return -1


def fingerprint(paths: Sequence[Path], sample: int = 65536, on_error: Callable[[OSError], object] | None = None) -> str:
    """A hash of names, sizes, and the first and last ``sample`` bytes of files, independent of modification times.

    For paths that cannot be read as a file (folders, pipes, broken links), only the name is hashed, and ``on_error`` is
    called.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        try:
            # Not blocking: to open a pipe would be to wait for somebody who writes into it.
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise OSError("not a file")
                size = os.fstat(file.fileno()).st_size
                content = file.read(sample)
                file.seek(max(size - sample, 0))
                content += file.read(sample)
        except OSError as error:
            size, content = -1, b""
            if on_error:
                on_error(error)
        digest.update(os.fsencode(path.name) + f"\0{size}\0".encode() + content)
    return digest.hexdigest()
