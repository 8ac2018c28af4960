"""Where the user's data are, from the section ``data`` of the config."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def part_folder(config: Mapping[str, Any], part: str) -> Path:
    """The folder of a training part."""
    return Path(config["data"]["root"], part)


def test_videos_folder(config: Mapping[str, Any]) -> Path:
    """The folder of the test videos."""
    return scored_folder(config, "")


def test_labels_file(config: Mapping[str, Any]) -> Path | None:
    """The labels of the test videos, or None if they are not known."""
    return scored_labels(config, "")


def scored_folder(config: Mapping[str, Any], external: str) -> Path:
    """The folder of the videos of an external set (a key of ``data.external``); of the test videos for ""."""
    data = config["data"]
    return Path(data["root"], data["external"][external]["videos"] if external else data["test_videos"])


def scored_labels(config: Mapping[str, Any], external: str) -> Path | None:
    """The labels of an external set; for "" those of the test videos, or None if they are not known."""
    data = config["data"]
    labels = data["external"][external]["labels"] if external else data["test_labels"]
    return Path(data["root"], labels) if labels else None


def external_and_number(shard: str) -> tuple[str, int]:
    """The external set of a shard, "" for the test videos, and its number: ("celeb_df", 3) for ``celeb_df/3``."""
    external, _, number = shard.rpartition("/")
    return external, int(number)
