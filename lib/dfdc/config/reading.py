"""The settings of a run: the checkout's config.yaml, overridden by the user's own files.

``python -m dfdc.config.reading FILE…`` tells what is wrong with files of settings, before Snakemake reads them, which
has no messages for some mistakes; profiles/default does the same with --configfile.
"""

import sys
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from dfdc.config.check import check_config, drop_removed_models
from dfdc.system.errors import UserError
from dfdc.system.jobs.provenance import LIBRARY
from dfdc.system.words import printable

# Bounds of settings files, far above what settings need.
LARGEST, MOST_VALUES, DEEPEST = 2**20, 20_000, 50
# Files by which the folder of the workflow is recognised.
CHECKOUT_HAS = ("Snakefile", "config.yaml", "pyproject.toml", "workflow/scripts/train.py")
# Some of its files, under the same names, which an installed package has too (links in the checkout).
DEFAULTS = Path(__file__).with_name("defaults")


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file.

    Raises UserError with the position of the error if it is not valid, and if it is much larger than settings are, as
    it is written or with all aliases expanded.
    """
    path = Path(path)
    try:
        if not path.is_file() and path.exists():
            raise UserError(f"The settings {path} are not a file. Name a YAML file.")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise UserError(f"The settings file {path} has more than {LARGEST:,} bytes. Name another file.")
        content = yaml.safe_load(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"The settings file {path} is not text in UTF-8 ({error}). Save it as UTF-8.") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise UserError(f"{path} is not valid YAML: {error}") from error
    except RecursionError:
        raise UserError(f"{path} is not valid as settings: its brackets are nested too deeply.") from None
    check_size(content, str(path))
    return content


def check_size(content: Any, source: str) -> None:
    """Raise UserError if settings have more than ``MOST_VALUES`` values or are nested deeper than ``DEEPEST``, with
    all aliases expanded: a few lines with aliases of aliases can stand for billions of values."""
    count, levels = 0, [iter((content,))]
    while levels:
        value = next(levels[-1], levels)
        if value is levels:
            levels.pop()
            continue
        count += 1
        if isinstance(value, Mapping):
            levels.append(chain(value.keys(), value.values()))
        elif isinstance(value, list | tuple | set):
            levels.append(iter(value))
        if count > MOST_VALUES or len(levels) > DEEPEST:
            fault = f"more than {MOST_VALUES:,} values" if count > MOST_VALUES else f"more than {DEEPEST} levels"
            raise UserError(
                f"The settings in {source} have {fault}, with all aliases (*name) expanded. Correct the file."
            )


def find_checkout(start: Path) -> Path:
    """The folder of the workflow: ``start``, one of its parents, or the checkout that holds the library.

    Raises UserError if there is none: an installed package contains only the library.
    """
    for folder in (start, *start.parents, LIBRARY.parents[1]):
        if all((folder / name).is_file() for name in CHECKOUT_HAS):
            return folder
    raise UserError(
        f"The workflow was not found: neither {start} nor a folder above it has the Snakefile and config.yaml. "
        "Run this command in a clone of the project, where you would run snakemake."
    )


def find_defaults(start: Path) -> Path:
    """The folder with config.yaml and profiles/demo/settings.yaml: the checkout's, or the installed package's own."""
    try:
        return find_checkout(start)
    except UserError:
        return DEFAULTS


def read_config(
    checkout: str | Path,
    files: Sequence[str | Path] = (),
    below: Mapping[str, Any] | None = None,
    models: Collection[str] | None = None,
) -> dict[str, Any]:
    """The settings of a run: the checkout's config.yaml, overridden by ``files`` in order (the last one wins).

    ``below`` overrides config.yaml, but not ``files``. Of the models only ``models`` are kept, if given. Raises
    UserError if a file is missing or the settings are not valid.
    """
    check_size(below or {}, "the weights")
    config = merged(read_changes([Path(checkout) / "config.yaml"]), below or {})
    config = merged(config, read_changes(files))
    drop_removed_models(config)
    if models is not None:
        config["models"] = {name: model for name, model in config["models"].items() if name in models}
    check_config(config)
    return config


def read_changes(files: Sequence[str | Path]) -> dict[str, Any]:
    """The settings in some files together, of which the last one wins.

    Raises UserError if a file is missing or is no mapping.
    """
    config: dict[str, Any] = {}
    for path in files:
        try:
            changes = read_yaml(path)
        except OSError as error:
            raise UserError(f"The settings file {path} cannot be read: {error.strerror}. Correct the path.") from error
        if not isinstance(changes, Mapping):
            raise UserError(f"The settings file {path} must be a mapping of keys to values, like config.yaml.")
        config = merged(config, changes)
    return config


def on_base(folder: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """``changes`` to the settings, on top of those in the file that their key ``base`` names, if it is there.

    Profiles have that key, because Snakemake replaces a profile's settings by those of --configfile. Raises UserError
    or OSError if the file, whose path is relative to ``folder``, cannot be read.
    """
    own = dict(changes)
    if not isinstance(own.get("base"), str):
        return own
    base = read_yaml(folder / own.pop("base"))
    if not isinstance(base, Mapping):
        raise UserError(f"The settings file {folder / changes['base']} must be a mapping of keys to values.")
    return merged(base, own)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` updated recursively with ``changes``, as Snakemake does with --configfile."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def main(files: Sequence[str | Path]) -> None:
    """End the program with a message if a file of settings is missing, or cannot be read as settings."""
    try:
        read_changes(files)
    except UserError as error:
        sys.exit(printable(str(error)))


if __name__ == "__main__":
    main(sys.argv[1:])
