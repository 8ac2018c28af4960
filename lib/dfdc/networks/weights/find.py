"""Which files of weights are which models of the ensemble, for somebody who has files and no workflow."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfdc.networks.weights.files import read_weights_metadata
from dfdc.system.errors import UserError

EXPORTED = "weights.fp16.safetensors"
# Where exported weights lie in a model's own folder, in results/models, in results and in the folder of a run.
_EXPORTED_IN = tuple(f"{folder}{EXPORTED}" for folder in ("", "*/", "models/*/", "results/models/*/"))
# Others lie side by side, or each in a folder of its own as the published ones do.
_OTHERS_IN = ("*.safetensors", "*.pth", "*/*.safetensors", "*/*.pth")


@dataclass(frozen=True)
class Member:
    """A model of the ensemble, the file of its weights, and its entry in the config as the file corrects it."""

    name: str
    path: Path
    model: Mapping[str, Any]


def find_members(places: Sequence[Path], models: Mapping[str, Mapping[str, Any]]) -> list[Member]:
    """The models whose weights lie in some places, sorted by name.

    A place is a file, a folder of files, or the folder of a run of the workflow. ``models`` is the config's. Exported
    weights say which model they are; others are told by the name of the file or of its folder, which holds the model's
    as a word (``…_large_crop_100k/snapshot.pth``). Files that are no model's are passed over. Raises UserError if no
    model is found, if one is found twice, or if weights are of a model that the config does not know.
    """
    files = [file for place in places for file in ([place] if place.is_file() else _files_in(place))]
    found: dict[str, Member] = {}
    for file in files:
        about = read_weights_metadata(file)
        name = _name_of(file, about, models)
        if name is None:
            continue
        if name in found:
            raise UserError(
                f"Both {found[name].path} and {file} are weights of the model {name}. Name the one that is meant."
            )
        known = {key: about[key] for key in ("architecture", "kind") if key in about}
        found[name] = Member(name, file, {**models[name], **known})
    if not found:
        seen = ", ".join(map(str, files[:5])) or "no .safetensors or .pth file"
        raise UserError(
            f"No weights of a model in {', '.join(map(str, places))}: there is {seen}. Expected is the folder of a "
            f"run, exported weights ({EXPORTED}), or files named after the models of the settings: {', '.join(models)}."
        )
    return [found[name] for name in sorted(found)]


def _files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"The weights {folder} are neither a file nor a folder. Correct the path.")
    for pattern in _EXPORTED_IN:
        if exported := sorted(folder.glob(pattern)):
            return exported
    return sorted(path for pattern in _OTHERS_IN for path in folder.glob(pattern))


def _name_of(file: Path, about: Mapping[str, Any], models: Mapping[str, Any]) -> str | None:
    """The model that a file is of, by what it says or else by what it is called."""
    name = about.get("name")
    if isinstance(name, str) and "architecture" in about:
        if name not in models:
            raise UserError(
                f"{file} holds weights of the model {name!r}, but the settings know only {', '.join(models)}. "
                "Give the settings that it was trained with (--config)."
            )
        return name
    for words in (file.name, file.absolute().parent.name):
        if names := [name for name in models if re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", words)]:
            return max(names, key=len)  # large_crop is no crop
    return None
