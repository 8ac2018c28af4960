"""The training parts of a run, also after the data were moved away."""

from pathlib import Path

from dfdc.data.parts import find_parts, in_natural_order, is_part


def known_parts(root: str | Path, videos: str | Path) -> list[str]:
    """The names of the training parts under ``root``, in natural order.

    If there are none, those of the tables in the folder ``videos`` (results/videos): the data may have been moved away
    after the run.
    """
    made = (path.stem for path in Path(videos).glob("*.parquet"))
    return find_parts(root) or in_natural_order(filter(is_part, made))
