"""Labels of test videos."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfdc.data.parts import read_entries
from dfdc.system.errors import UserError

# The rest of the remedy for wrong labels, by the key of the config that names them, if it may name none.
OR_NONE = {"data.test_labels": ", or set it to null"}


@dataclass(frozen=True)
class Label:
    """``fake`` is 1 or 0. ``source`` is the real video that a fake was made from, or the video itself.
    ``method`` is the manipulation method of a fake if known, else empty."""

    fake: int
    source: str
    method: str = ""


def read_labels(path: str | Path, key: str = "data.test_labels") -> dict[str, int]:
    """Labels of test videos, 1 for fake and 0 for real. Raises UserError like ``read_details``."""
    return {name: label.fake for name, label in read_details(path, key).items()}


def read_details(path: str | Path, key: str = "data.test_labels") -> dict[str, Label]:
    """The labels of test videos with their source and method (columns or keys ``original`` and ``method``, optional).

    Raises UserError if the file is missing, is neither a CSV ``filename,label`` nor a metadata.json, has no label or a
    label other than 0 (REAL) and 1 (FAKE), or conflicting ones of a video. The message says at which ``key`` of the
    config the file is named.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"The labels file {path} ({key} in the config) does not exist. Correct the path{OR_NONE.get(key, '')}."
        )
    try:
        labels = _in_json(path) if path.suffix == ".json" else _in_csv(path)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, csv.Error) as error:
        raise UserError(
            f"{path} must be a CSV with the columns filename and label (1 for fake, 0 for real) "
            f"or a metadata.json ({error!r})."
        ) from error
    if not labels or not {label.fake for label in labels.values()} <= {0, 1}:
        raise UserError(f"{path} must contain at least one label, and each label must be 0 (real) or 1 (fake).")
    return labels


def _in_json(path: Path) -> dict[str, Label]:
    return {
        name: _label(name, {"REAL": 0, "FAKE": 1}[entry["label"]], entry) for name, entry in read_entries(path).items()
    }


def _in_csv(path: Path) -> dict[str, Label]:
    labels: dict[str, Label] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a byte order mark
        for row in csv.DictReader(file, strict=True):
            name = row["filename"]
            label = _label(name, int(row["label"]), row)
            if labels.setdefault(name, label) != label:
                raise ValueError(f"{name} has several labels, which differ")
    return labels


def _label(name: str, fake: int, entry: Mapping[str, Any]) -> Label:
    return Label(fake, str(entry.get("original") or name), str(entry.get("method") or ""))
