"""The provenance of a scored video, as tables: the file, the run, the weights and the settings."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from dfdc.figures.scored.page.html import Html, tag
from dfdc.figures.scored.page.used import Used
from dfdc.stages.prediction.videos import VideoScore
from dfdc.system.files import sha256
from dfdc.system.words import duration, in_units


def facts_of(video: VideoScore, used: Used) -> Html:
    """A table of what is known of a video, and of the run."""
    row, path = video.row, video.path
    size, digest = _size_and_hash(path)
    shape = "unknown"
    if row.frames and video.is_image:
        shape = f"{row.width} x {row.height} pixels"
    elif row.frames:
        length = f", {duration(row.frames / row.fps)}" if row.fps else ""
        shape = f"{row.width} x {row.height} pixels, {row.frames} frames, {row.fps:.4g} per second{length}"
    facts = {
        video.noun: str(path),
        "SHA-256": tag("code", digest) if digest else "the file cannot be read",
        "size": in_units(size) if digest else "unknown",
        "format": shape,
        "scored": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "program": f"dfdc {used.version}",
        "face detector": used.detector,
    }
    return tag("table", tag("caption", f"This {video.noun} and this run"), _facts_rows(facts), class_="facts")


def _size_and_hash(path: Path) -> tuple[int, str]:
    """The size of a file and its SHA-256; "" if it is none or cannot be read. A pipe would wait for a writer."""
    try:
        if not path.is_file():
            return 0, ""
        return path.stat().st_size, sha256(path)
    except (OSError, ValueError):
        return 0, ""


def _facts_rows(facts: Mapping[str, Any]) -> Html:
    return tag("tbody", *(tag("tr", tag("th", key, scope="row"), tag("td", value)) for key, value in facts.items()))


def about_weights(used: Used) -> list[Html]:
    """Where the weights come from, and the settings."""
    parts = []
    for weights in used.weights:
        metadata = dict(weights.metadata)
        provenance = metadata.pop("provenance", {})
        if not isinstance(provenance, Mapping):
            provenance = {"provenance": provenance}
        facts = {"model": weights.words, "file": str(weights.path), "SHA-256": tag("code", weights.sha256)}
        facts |= {_spaced(key): _said(value) for key, value in provenance.items()}
        caption = tag("caption", f"Weights of the model {weights.name}")
        parts.append(tag("table", caption, _facts_rows(facts), class_="facts"))
        if metadata:
            rest = _facts_rows({_spaced(key): _said(value) for key, value in sorted(metadata.items())})
            caption = tag("caption", f"Metadata of the weights of the model {weights.name}")
            summary = tag("summary", f"All metadata of {weights.name}")
            parts.append(tag("details", summary, tag("table", caption, rest, class_="facts")))
    settings = tag("pre", yaml.safe_dump(dict(used.settings), sort_keys=False, default_flow_style=None), tabindex="0")
    return [*parts, tag("details", tag("summary", "Settings"), settings)]


def _spaced(key: Any) -> str:
    return str(key).replace("_", " ")


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_said(of_key)}" for key, of_key in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
