"""The files that ``dfdc score`` writes: opened before the first video, and complete after each."""

import contextlib
import csv
import io
import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path

CSV_HEAD = ("video", "probability", "status", "reason", "tracks", "frames")


@dataclass(frozen=True)
class Summary:
    """The result of a video or an image for --json and --csv.

    ``doubts``: why it counts as uncertain whatever its score is. ``kind``: video or image. ``notes``: what else there
    is to know of the score, such as models that cannot judge a single picture.
    """

    video: str
    probability: float
    verdict: str
    doubts: tuple[str, ...]
    status: str
    reason: str
    frames: int
    tracks: list[dict[str, Any]]
    kind: str = "video"
    notes: tuple[str, ...] = ()


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
    """A file that gets a row for each video as soon as it is scored.

    Stdout, pipes and devices get all rows in order at the end.
    """

    def __init__(self, target: str, option: str, kind: Format) -> None:
        """Open the file. Raises UserError if it cannot be written."""
        self._target, self._option, self._format = target, option, kind
        self._file: BinaryIO | None = None
        self._rows, self._failed = 0, False
        path = Path(target)
        self._is_file = target != "-" and (path.is_file() or not path.exists())
        if target == "-":
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
            if self._is_file:
                self._write(kind.text(()))
        except OSError as error:
            raise UserError(f"{option} {target} cannot be written ({error.strerror}). Name another file.") from error

    def add(self, row: Summary) -> str:
        """Add a row; the file is complete after that. Returns what went wrong, or ""."""
        if not self._is_file or self._failed:
            return ""
        try:
            self._file.seek(-len(self._format.tail), io.SEEK_END)
            self._write((self._format.between if self._rows else "") + self._format.row(row) + self._format.tail)
            self._rows += 1
        except OSError as error:
            self._failed = True
            with contextlib.suppress(OSError):  # the same again: what is left in the buffer cannot be written
                self._file.close()
            self._file = None
            return f"{self._option} {self._target} cannot be written any more ({error.strerror}): {self._rows} rows."
        return ""

    def finish(self, rows: Sequence[Summary]) -> str:
        """Put the rows in order; if that fails they stay in the order they were added. Returns like ``add``."""
        text = self._format.text(rows)
        try:
            if self._target == "-":
                sys.stdout.write(text)
            elif not self._is_file:
                self._write(text)
            elif not self._failed:
                with atomic_path(self._target) as temporary:
                    temporary.write_bytes(_encoded(text))
        except (OSError, UserError) as error:
            done = "complete, but not in order" if self._is_file else "not written"
            return f"The rows in {self._option} {self._target} are {done}: {error}"
        finally:
            if self._file is not None:
                self._file.close()
        return ""

    def _write(self, text: str) -> None:
        self._file.write(_encoded(text))
        self._file.flush()


def _encoded(text: str) -> bytes:
    return text.encode(errors="backslashreplace")  # names of files may be no text


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
