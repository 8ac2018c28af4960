"""The files that ``dfdc score`` writes: opened before the first video, and complete after each."""

import csv
import io
import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path

CSV_HEAD = ("video", "probability", "status", "reason", "tracks", "frames")


@dataclass(frozen=True)
class Summary:
    """The result of a video for --json and --csv."""

    video: str
    probability: float
    status: str
    reason: str
    frames: int
    tracks: list[dict[str, Any]]


@dataclass(frozen=True)
class Format:
    """How rows become a file: what is before, between and after them."""

    head: str
    row: Callable[[Summary], str]
    between: str
    tail: str

    def text(self, rows: Iterable[Summary]) -> str:
        """The whole file."""
        return self.head + self.between.join(map(self.row, rows)) + self.tail


class Output:
    """A file that gets a row for each video as soon as it is scored, or stdout, which gets all rows at the end."""

    def __init__(self, target: str, option: str, kind: Format) -> None:
        """Open the file. Raises UserError if it cannot be written."""
        self._target, self._option, self._format = target, option, kind
        self._file: TextIO | None = None
        self._rows = 0
        if target == "-":
            return
        try:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            self._file = Path(target).open("w", encoding="utf-8", errors="backslashreplace", newline="")  # noqa: SIM115
            self._file.write(kind.text(()))
            self._file.flush()
        except OSError as error:
            raise UserError(f"{option} {target} cannot be written ({error.strerror}). Name another file.") from error

    def add(self, row: Summary) -> str:
        """Add a row; the file is complete after that. Returns what went wrong, or ""."""
        if self._file is None:
            return ""
        try:
            self._file.seek(0, io.SEEK_END)
            self._file.seek(self._file.tell() - len(self._format.tail))
            between = self._format.between if self._rows else ""
            self._file.write(between + self._format.row(row) + self._format.tail)
            self._file.flush()
            self._rows += 1
        except OSError as error:
            self._file = None
            return f"{self._option} {self._target} cannot be written any more ({error.strerror}): {self._rows} rows."
        return ""

    def finish(self, rows: Sequence[Summary]) -> str:
        """Put the rows in order; if that fails they stay in the order they were added. Returns like ``add``."""
        if self._target == "-":
            sys.stdout.write(self._format.text(rows))
        elif self._file is not None:
            self._file.close()
            text = self._format.text(rows).encode(errors="backslashreplace")
            try:
                with atomic_path(self._target) as temporary:
                    temporary.write_bytes(text)
            except (OSError, UserError) as error:
                return f"The rows in {self._option} {self._target} are complete, but not in order: {error}"
        return ""


def csv_format() -> Format:
    """A row of a few columns for each video."""
    return Format(_csv_line(CSV_HEAD), _csv_row, "", "")


def json_format(about: Mapping[str, Any]) -> Format:
    """An object with ``about``, and a list of videos with the scores of each track."""
    head = json.dumps(dict(about), indent=2).removesuffix("\n}") + ',\n  "videos": [\n'
    return Format(head, lambda row: textwrap.indent(json.dumps(asdict(row), indent=2), "    "), ",\n", "\n  ]\n}\n")


def _csv_row(row: Summary) -> str:
    return _csv_line((row.video, f"{row.probability:.8f}", row.status, row.reason, len(row.tracks), row.frames))


def _csv_line(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
