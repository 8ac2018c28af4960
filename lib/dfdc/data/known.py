"""The training parts of a run, also after the data were moved away."""

import re
from pathlib import Path

from dfdc.data.parts import find_parts


def known_parts(root: str | Path, videos: str | Path) -> list[str]:
    """The names of the training parts under ``root``, in natural order.

    If there are none, those of the tables in the folder ``videos`` (results/videos): the data may have been moved away
    after the run.
    """
    return find_parts(root) or sorted((path.stem for path in Path(videos).glob("dfdc_train_part_*.parquet")), key=_key)


def _key(name: str) -> list[tuple[int, str]]:
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D+)(\d*)", name)]
