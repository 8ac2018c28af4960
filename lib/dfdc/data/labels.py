"""Labels of test videos."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from dfdc.system.errors import UserError


@dataclass(frozen=True)
class Label:
    """``fake`` is 1 or 0. ``source`` is the real video that a fake was made from, or the video itself.
    ``method`` is the manipulation method of a fake if known, else empty."""

    fake: int
    source: str
    method: str = ""


def read_details(path: str | Path) -> dict[str, Label]:
    """The labels of test videos with their source and method (columns or keys ``original`` and ``method``, optional).

    Raises UserError if the file is missing, or is neither a CSV ``filename,label`` nor a metadata.json.
    """
    labels = read_labels(path)
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        if Path(path).suffix == ".json":
            entries = json.load(file)
        else:
            entries = {row["filename"]: row for row in csv.DictReader(file)}
    return {
        name: Label(fake, str(entries[name].get("original") or name), str(entries[name].get("method") or ""))
        for name, fake in labels.items()
    }


def read_labels(path: str | Path) -> dict[str, int]:
    """Labels of test videos, 1 for fake and 0 for real, from a CSV ``filename,label`` or from a metadata.json.

    Raises UserError if the file is missing or is neither.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"The labels file {path} (data.test_labels in the config) does not exist. Correct the path, or set it to "
            "null."
        )
    try:
        if path.suffix == ".json":
            entries = json.loads(path.read_text(encoding="utf-8"))
            labels = {name: {"REAL": 0, "FAKE": 1}[entry["label"]] for name, entry in entries.items()}
        else:
            with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a byte order mark
                labels = {row["filename"]: int(row["label"]) for row in csv.DictReader(file)}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} must be a CSV with the columns filename and label (1 for fake, 0 for real) "
            f"or a metadata.json ({error!r})."
        ) from error
    if not labels or not set(labels.values()) <= {0, 1}:
        raise UserError(f"{path} must contain at least one label, and each label must be 0 (real) or 1 (fake).")
    return labels
