"""Where the user's data were when they were last read for an output."""

import contextlib
import json
import os
from pathlib import Path

from dfdc.system.errors import UserError
from dfdc.system.files import write_text

# Below the working directory, beside Snakemake's records, so that they are deleted together.
PLACES = Path(".snakemake/places.json")


class Places:
    """The places of data by what they are for, for example an output and a parameter of its rule."""

    def __init__(self) -> None:
        """Read what earlier runs wrote down, if that is not damaged."""
        self._path = PLACES.absolute()
        self._before: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            self._before = dict(json.loads(self._path.read_text(encoding="utf-8")))
        self._now = dict(self._before)

    def note(self, purpose: str, path: str | Path) -> None:
        """Write down that data for a purpose were read from a path."""
        self._now[purpose] = _place(path)

    def is_other(self, purpose: str, path: str | Path) -> bool:
        """Whether the data for a purpose were at another path when they were last read; no if that is not known."""
        return self._before.get(purpose, _place(path)) != _place(path)

    def save(self) -> None:
        """Write the file, if there is anything new. A full disk is no fault: then the places are not known."""
        if self._now != self._before:
            with contextlib.suppress(OSError, UserError):
                write_text(self._path, json.dumps(self._now))


def _place(path: str | Path) -> str:
    """A path that does not depend on how it is spelled, nor on where the working directory is if it is in there."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 (links stay, as data may be one)
    here = Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)
