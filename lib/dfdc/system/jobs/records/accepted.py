"""Records of results that were accepted after a change of code, see workflow/accept.py."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfdc.system.checksums import CHECKSUM, checksum_of
from dfdc.system.errors import UserError
from dfdc.system.files import write_text

# Below the working directory; a line of JSON for each job, with a checksum of its own.
ACCEPTED = Path("results/accepted.jsonl")


def record_accepted(folder: Path, entry: Mapping[str, Any]) -> None:
    """Add an entry: date, rule, files, and code ({file: [hash before, hash after]}); ``folder`` is the working
    directory.

    The file is replaced, because it may be linked into the folder of another run. Raises UserError if the disk is full.
    """
    path = folder / ACCEPTED
    before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    write_text(path, before + json.dumps({**entry, CHECKSUM: checksum_of(entry)}) + "\n")


def accepted(path: Path) -> list[dict[str, Any]]:
    """The entries about a file below ``results``, oldest first; empty for any other file.

    Raises UserError like ``read_accepted``.
    """
    path = path.resolve()
    for folder in path.parents:
        if (folder / ACCEPTED).is_file():
            entries = read_accepted(folder / ACCEPTED)
            return [entry for entry in entries if str(path.relative_to(folder)) in entry["files"]]
    return []


def read_accepted(path: Path) -> list[dict[str, Any]]:
    """All entries in a file. Raises UserError if one is damaged."""
    entries = [_entry(line) for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    wrong = [str(number) for number, entry in enumerate(entries, 1) if entry is None]
    if wrong:
        raise UserError(
            f"{path} is damaged: what is in line {', '.join(wrong)} does not match its checksum. Delete it there; what "
            "it said about accepted results is lost."
        )
    return entries


def _entry(line: str) -> dict[str, Any] | None:
    """An entry without its checksum; None if it is damaged."""
    try:
        entry = dict(json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    return entry if entry.pop(CHECKSUM, None) == checksum_of(entry) else None
