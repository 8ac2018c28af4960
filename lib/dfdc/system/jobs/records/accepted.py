"""Records of results that were accepted after a change of code, see workflow/accept.py."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Below the working directory; a line of JSON for each job.
ACCEPTED = Path("results/accepted.jsonl")


def record_accepted(folder: Path, entry: Mapping[str, Any]) -> None:
    """Add an entry: date, rule, files, and code ({file: [hash before, hash after]}); ``folder`` is the working
    directory."""
    with (folder / ACCEPTED).open("a", encoding="utf-8") as file:
        file.write(json.dumps(dict(entry)) + "\n")


def accepted(path: Path) -> list[dict[str, Any]]:
    """The entries about a file below ``results``, oldest first; empty for any other file."""
    path = path.resolve()
    for folder in path.parents:
        if (folder / ACCEPTED).is_file():
            lines = (folder / ACCEPTED).read_text(encoding="utf-8", errors="replace").splitlines()
            return [entry for entry in map(_entry, lines) if str(path.relative_to(folder)) in entry.get("files", ())]
    return []


def _entry(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError):  # cut off or damaged
        return {}
