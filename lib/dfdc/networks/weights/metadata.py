"""What can be wrong with the metadata of weights."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from dfdc.networks.settings import ARCHITECTURES, KINDS, CropPolicy, is_timm_name

LONGEST_WINDOW, LARGEST_CROP = 1000, 4096  # frames; pixels


def faults_of_metadata(metadata: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the description of a model in the metadata of its weights."""
    name = metadata["architecture"]
    if name not in ARCHITECTURES and not (isinstance(name, str) and is_timm_name(name)):
        yield f"architecture is {_shown(name)}, not one of {', '.join(ARCHITECTURES)} or timm/NAME"
    if metadata["kind"] not in KINDS:
        yield f"kind is {_shown(metadata['kind'])}, not one of {', '.join(KINDS)}"
    if "sequence_length" in metadata and not _is_whole(metadata["sequence_length"], 1, LONGEST_WINDOW):
        yield f"sequence_length is {_shown(metadata['sequence_length'])}, not a number from 1 to {LONGEST_WINDOW}"
    for key in ("scoring", "provenance", "fitted", "ranges"):
        if not isinstance(metadata.get(key) or {}, dict):
            yield f"{key} is {_shown(metadata[key])}, not a mapping"
    if metadata.get("scoring") and not isinstance(metadata.get("name"), str):
        yield "there are settings (scoring), but no name of the model"
    crop = metadata.get("crop")
    if crop is None:
        return
    if not isinstance(crop, dict) or crop.keys() != {field.name for field in fields(CropPolicy)}:
        yield f"crop is {_shown(crop)}"
    elif not all(_is_whole(crop[side], 1, LARGEST_CROP) for side in ("smaller_side", "height", "width")):
        yield f"crop is {_shown(crop)}; its sides must be numbers up to {LARGEST_CROP}"
    elif not isinstance(crop["pad"], bool):
        yield f"crop.pad is {_shown(crop['pad'])}, not true or false"


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:80]}…"
