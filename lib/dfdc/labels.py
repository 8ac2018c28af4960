"""What is known of test videos whose labels are known."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from dfdc.layout import read_labels


@dataclass(frozen=True)
class Label:
    """``fake`` is 1 or 0. ``source`` is the real video that a video was made from, or the video itself.
    ``method`` says how a fake was made, or is empty."""

    fake: int
    source: str
    method: str = ""


def read_details(path: str | Path) -> dict[str, Label]:
    """The labels of test videos with what else their file says of them: the columns or keys ``original``, ``method``.

    Raises UserError if the file is missing, or is neither a CSV ``filename,label`` nor a metadata.json.
    """
    labels = read_labels(path)
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        if Path(path).suffix == ".json":
            known = json.load(file)
        else:
            known = {row["filename"]: row for row in csv.DictReader(file)}
    return {
        name: Label(fake, str(known[name].get("original") or name), str(known[name].get("method") or ""))
        for name, fake in labels.items()
    }
