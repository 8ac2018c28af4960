"""Where the user's data are, from the section ``data`` of the config."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def part_folder(config: Mapping[str, Any], part: str) -> Path:
    """The folder of a training part."""
    return Path(config["data"]["root"], part)


def test_videos_folder(config: Mapping[str, Any]) -> Path:
    """The folder of the videos to score."""
    return Path(config["data"]["root"], config["data"]["test_videos"])


def test_labels_file(config: Mapping[str, Any]) -> Path | None:
    """The labels of the videos to score, or None if they are not known."""
    labels = config["data"]["test_labels"]
    return Path(config["data"]["root"], labels) if labels else None
