"""The rows of the table that the benchmark prints."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

NO_GPU = "not on a CPU"
FAILED = ("FAIL", "ERROR")


@dataclass(frozen=True)
class Row:
    """A number or a word, and for a proof whether it holds; ``note`` says how it was measured, or the error."""

    what: str
    value: float | str | None
    unit: str = ""
    verdict: Literal["", "PASS", "FAIL", "ERROR"] = ""
    note: str = ""


def proof(what: str, holds: bool, value: float | str | None, unit: str = "", note: str = "") -> Row:
    """A row that says PASS or FAIL."""
    return Row(what, value, unit, "PASS" if holds else "FAIL", note)


def append(path: Path, row: Row) -> None:
    """Add a row to a file of JSON lines."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row)) + "\n")


def read(path: Path) -> list[Row]:
    """The rows of a file of JSON lines, but for a last one that was not written to its end."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [Row(**json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def markdown(sections: Mapping[str, Iterable[Row]]) -> str:
    """One table of the rows of all sections."""
    lines = ["| section | what | value | unit | proof | note |", "|---|---|---|---|---|---|"]
    for title, rows in sections.items():
        for row in rows:
            cells = (title, row.what, _words(row.value), row.unit, row.verdict, row.note)
            lines.append("| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "" if value is None else str(value)
