"""Hashes that a plan needs, remembered from one plan to the next, because most files do not change in between.

A hash is found again by what it was made of: by the content of a file or, for many or large files, by their names,
inodes, sizes and times. One of the times, ctime, is set to the present by every change of a file and cannot be set to
another time by a program, so that no change is missed.
"""

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dfdc.system.errors import UserError
from dfdc.system.files import write_text

# Below the working directory, beside Snakemake's records, so that they are deleted together.
HASHES = Path(".snakemake/hashes.json")
# What was used last is kept.
MOST = 5000
# Seconds. Two changes within a tick of a file system's clock, which takes up to 2 s, have the same time; and clocks of
# machines differ.
SETTLED = 60.0


class Hashes:
    """Hashes, and other values of JSON, by what they were made of."""

    def __init__(self, path: Path | None = None) -> None:
        """Read what is remembered in a file, if it exists and is not damaged; None: nothing beyond this object."""
        self._path = path and path.absolute()
        self._known: dict[str, Any] = _read(path) if path else {}
        self._used: dict[str, Any] = {}

    def of_content(self, content: bytes, by: str, make: Callable[[], Any]) -> Any:
        """What ``make`` makes of some bytes; ``by`` says what that is, version included."""
        return self._find(f"{by} {_digest(content)}", make)

    def of_files(self, paths: Iterable[Path], by: str, make: Callable[[Callable[[OSError], None]], Any]) -> Any:
        """What ``make`` makes of names and content of files; ``by`` says what that is, version included.

        ``make`` gets a function to call with an error while reading: then what it makes is not remembered, nor if a
        path is not a regular file, or if a file has changed within the last minute.
        """
        state, doubts = _state(paths), []
        key = f"{by} {state}"
        value = self._find(key, lambda: make(doubts.append)) if state else make(doubts.append)
        if doubts:
            self._used.pop(key, None)
        return value

    def save(self) -> None:
        """Write the file, if there is anything new. A full disk is no fault: then hashes are made again."""
        if self._path and not self._used.keys() <= self._known.keys():
            kept = {key: value for key, value in self._known.items() if key not in self._used} | self._used
            newest = dict(list(kept.items())[-MOST:])
            with contextlib.suppress(OSError, UserError):
                write_text(self._path, json.dumps(newest))

    def _find(self, key: str, make: Callable[[], Any]) -> Any:
        for known in (self._used, self._known):
            if key in known:
                self._used[key] = known[key]
                return known[key]
        self._used[key] = make()
        return self._used[key]


def _state(paths: Iterable[Path]) -> str:
    """The names of files and what changes with their content; empty if that is not certain."""
    latest, states = time.time() - SETTLED, []
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            return ""
        if not stat.S_ISREG(found.st_mode) or max(found.st_mtime, found.st_ctime) > latest:
            return ""
        states.append((os.fsencode(path.name), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return _digest(repr(states).encode())


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
