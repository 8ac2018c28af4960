"""Assign weights files to the models of the ensemble, for use without the workflow."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfdc.networks.weights.files import read_weights_metadata
from dfdc.system.errors import UserError

EXPORTED = "weights.fp16.safetensors"
# Patterns for exported weights in a model's folder, in results/models, in results and in the folder of a run.
_EXPORTED_IN = tuple(f"{folder}{EXPORTED}" for folder in ("", "*/", "models/*/", "results/models/*/"))
# Other weights are in one folder, or in one folder per model, like the published ones.
_OTHERS_IN = ("*.safetensors", "*.pth", "*/*.safetensors", "*/*.pth")


@dataclass(frozen=True)
class Member:
    """A model of the ensemble, its weights file, and its entry in the config, corrected by the file's metadata."""

    name: str
    path: Path
    model: Mapping[str, Any]


def find_members(places: Sequence[Path], models: Mapping[str, Mapping[str, Any]]) -> list[Member]:
    """The models whose weights are found in ``places``, sorted by name.

    A place is a file, a folder of files, or the folder of a run of the workflow. ``models`` is that of the config.
    Exported weights contain the model's name; others are identified by the name of the file or its folder, which must
    contain the model's name as a word (``…_large_crop_100k/snapshot.pth``). Other files are skipped. Raises UserError
    if no model is found, if one is found twice, or if weights are of a model that the config does not have.
    """
    files = [file for place in places for file in ([place] if place.is_file() else _files_in(place))]
    members: dict[str, Member] = {}
    for file in files:
        metadata = read_weights_metadata(file)
        name = _name_of(file, metadata, models)
        if name is None:
            continue
        if name in members:
            raise UserError(
                f"Both {members[name].path} and {file} are weights of the model {name}. Pass only one of them."
            )
        known = {key: metadata[key] for key in ("architecture", "kind") if key in metadata}
        members[name] = Member(name, file, {**models[name], **known})
    if not members:
        seen = ", ".join(map(str, files[:5])) or "no .safetensors or .pth file"
        raise UserError(
            f"No weights of a model in {', '.join(map(str, places))} (found: {seen}). Expected the folder of a run, "
            f"exported weights ({EXPORTED}), or files named after the models in the settings: {', '.join(models)}."
        )
    return [members[name] for name in sorted(members)]


def _files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"The weights {folder} are neither a file nor a folder. Correct the path.")
    for pattern in _EXPORTED_IN:
        if exported := sorted(folder.glob(pattern)):
            return exported
    return sorted(path for pattern in _OTHERS_IN for path in folder.glob(pattern))


def _name_of(file: Path, metadata: Mapping[str, Any], models: Mapping[str, Any]) -> str | None:
    """The name of the model whose weights a file contains, from its metadata, else from its path."""
    name = metadata.get("name")
    if isinstance(name, str) and "architecture" in metadata:
        if name not in models:
            raise UserError(
                f"{file} contains weights of the model {name!r}, but the settings have only {', '.join(models)}. "
                "Pass the settings that it was trained with (--config)."
            )
        return name
    for words in (file.name, file.absolute().parent.name):
        if names := [name for name in models if re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", words)]:
            return max(names, key=len)  # large_crop, not crop
    return None
