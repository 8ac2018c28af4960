"""Assign weights files to the models of the ensemble, for use without the workflow."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dfdc.networks.weights.files import read_weights_metadata
from dfdc.networks.weights.release import checksum_of
from dfdc.system.errors import UserError

EXPORTED = "weights.fp16.safetensors"
# Patterns for exported weights in a model's folder, in results/models, in results and in the folder of a run.
_EXPORTED_IN = tuple(f"{folder}{EXPORTED}" for folder in ("", "*/", "models/*/", "results/models/*/"))
# Other weights are in one folder, or in one folder per model, like the published ones.
_OTHERS_IN = ("*.safetensors", "*.pth", "*/*.safetensors", "*/*.pth")


@dataclass(frozen=True)
class Member:
    """A model of the ensemble: its weights file with its metadata, and its entry in the config, corrected by these."""

    name: str
    path: Path
    model: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Travelled:
    """The settings that came with weights, and the models that they are of; None if some weights came without."""

    settings: Mapping[str, Any]
    models: frozenset[str] | None


def settings_of_weights(places: Sequence[Path], chosen: Mapping[str, Any]) -> Travelled:
    """The settings that came with the weights in ``places``; places that do not exist are passed over.

    ``chosen``: the user's own settings, which replace them. Raises UserError if weights were made with different
    settings and the user has not chosen.
    """
    found: dict[tuple[str, ...], Any] = {}
    source: dict[tuple[str, ...], Path] = {}
    decided = dict(_leaves(chosen))
    faults, models, all_have = [], set(), True
    for file in (file for place in places if place.exists() for file in _files_of(place)):
        metadata = read_weights_metadata(file)
        settings = metadata.get("scoring")
        if not settings:
            all_have = False
            continue
        models.add(metadata["name"])
        for path, value in _leaves(settings):
            if path in found and found[path] != value and path not in decided:
                faults.append(f"{'.'.join(path)} is {found[path]} in {source[path]}, but {value} in {file}")
            found.setdefault(path, value)
            source.setdefault(path, file)
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise UserError(
            f"These weights were made to be used with different settings:\n{lines}\nGive the settings that you want "
            "in a file (--config)."
        )
    return Travelled(_nested(found), frozenset(models) if models and all_have else None)


def _leaves(settings: Mapping[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of nested settings by their paths."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, *path, key)
        else:
            yield (*path, key), value


def _nested(leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for (*sections, key), value in leaves.items():
        target = settings
        for section in sections:
            target = target.setdefault(section, {})
        target[key] = value
    return settings


def find_members(places: Sequence[Path], models: Mapping[str, Mapping[str, Any]]) -> list[Member]:
    """The models whose weights are found in ``places``, sorted by name.

    A place is a file, a folder of files, or the folder of a run of the workflow, of which the released weights
    (results/release) are taken if they are of the same training. ``models`` is that of the config.
    Exported weights contain the model's name; others are identified by the name of the file or its folder, which must
    contain the model's name as a word (``…_large_crop_100k/snapshot.pth``). Other files are skipped. Raises UserError
    if no model is found, if one is found twice, or if weights are of a model that the config does not have.
    """
    files = [file for place in places for file in _files_of(place)]
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
        members[name] = Member(name, file, {**models[name], **known}, metadata)
    if not members:
        seen = ", ".join(map(str, files[:5])) or "no .safetensors or .pth file"
        raise UserError(
            f"No weights of a model in {', '.join(map(str, places))} (found: {seen}). Expected the folder of a run, "
            f"exported weights ({EXPORTED}), or files named after the models in the settings: {', '.join(models)}."
        )
    return [members[name] for name in sorted(members)]


def _files_of(place: Path) -> list[Path]:
    return [place] if place.is_file() else _files_in(place)


def _files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"The weights {folder} are neither a file nor a folder. Correct the path.")
    for pattern in _EXPORTED_IN:
        if exported := sorted(folder.glob(pattern)):
            return [_released(path) or path for path in exported]
    return sorted(path for pattern in _OTHERS_IN for path in folder.glob(pattern))


def _released(exported: Path) -> Path | None:
    """The released weights made from exported ones; None if there are none, or only of earlier training."""
    path = exported.absolute()
    released = path.parent.parent.parent / "release" / f"{path.parent.name}.safetensors"
    if not released.is_file():
        return None
    try:
        is_same = read_weights_metadata(released).get("released_from") == checksum_of(exported)
    except ValueError:  # it is damaged, which is said when it is read
        return None
    return released if is_same else None


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
