"""Results in JSON files, with a checksum that is verified on every read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfdc.system.checksums import damaged
from dfdc.system.errors import UserError
from dfdc.system.files import write_text
from dfdc.system.versions import versions

CHECKSUM = "checksum"


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a result, the versions of libraries and a checksum atomically."""
    content = {**content, "versions": versions()}
    write_text(path, json.dumps({**content, CHECKSUM: _checksum(content)}, indent=2) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """The content of a file that ``write_json`` wrote, without the checksum.

    Raises FileNotFoundError if it is missing, UserError if it is damaged.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder, but a JSON file was expected. Correct the path.")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"it is not valid JSON ({error})") from error
    expected = content.pop(CHECKSUM, None) if isinstance(content, dict) else None
    if expected is None:
        raise damaged(path, "it has no checksum: it was written by other software, or has changed since")
    if expected != _checksum(content):
        raise damaged(path, "its content does not match its checksum")
    return content


def has_checksum(path: Path) -> bool:
    """Whether a file looks as if ``write_json`` wrote it: damaged ones do, too, unless the very key is damaged."""
    return f'"{CHECKSUM}"'.encode() in path.read_bytes()


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
