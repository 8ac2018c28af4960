"""What one look at something has shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["ok", "note", "slow", "stops"]


@dataclass(frozen=True)
class Finding:
    """Whether something is ok, worth a note (a run goes, with less to go on), makes a run slow or stops it.

    ``about`` is a word for what was looked at, ``what`` says how it is, ``remedy`` what to do.
    """

    level: Level
    about: str
    what: str
    remedy: str = ""


def untrained(config: Mapping[str, Any]) -> list[str]:
    """The models that are to be trained."""
    return [name for name, model in config["models"].items() if not model["weights"]]


def some(names: Iterable[str], shown: int = 4) -> str:
    """The first few of some names."""
    names = list(names)
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def in_units(size: float) -> str:
    """Bytes as a person would say them."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
