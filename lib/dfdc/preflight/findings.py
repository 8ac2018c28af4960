"""Findings of the checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["ok", "note", "slow", "stops"]


@dataclass(frozen=True)
class Finding:
    """The result of a check: ok, a note (the run works, but part of the input is not used), slow, or stops the run.

    ``topic`` is what was checked, ``message`` the result, ``remedy`` how to fix it.
    """

    level: Level
    topic: str
    message: str
    remedy: str = ""


def untrained(config: Mapping[str, Any]) -> list[str]:
    """The models that are to be trained."""
    return [name for name, model in config["models"].items() if not model["weights"]]
