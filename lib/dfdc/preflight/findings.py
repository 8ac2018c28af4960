"""What one look at something has shown."""

from collections.abc import Mapping
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
