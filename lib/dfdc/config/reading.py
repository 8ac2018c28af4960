"""The settings of a run: config.yaml of the checkout with the user's own files on top."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dfdc.config.check import check_config, drop_removed_models
from dfdc.system.errors import UserError
from dfdc.system.jobs.provenance import LIBRARY

# What tells the folder of the workflow from others.
CHECKOUT_HAS = ("Snakefile", "config.yaml", "pyproject.toml", "workflow/scripts/train.py")


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file. Raises UserError with the place of the fault if it is not valid."""
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from error


def find_checkout(start: Path) -> Path:
    """The folder of the workflow: ``start``, one above it, or that of the library.

    Raises UserError if none of them is: an installed package holds the library alone.
    """
    for folder in (start, *start.parents, LIBRARY.parents[1]):
        if all((folder / name).is_file() for name in CHECKOUT_HAS):
            return folder
    raise UserError(
        f"The workflow is not here: {start} and the folders above it hold no Snakefile with its config.yaml. "
        "Run this in a clone of the project, where snakemake is run."
    )


def read_config(checkout: str | Path, files: Sequence[str | Path] = ()) -> dict[str, Any]:
    """The settings of a run: config.yaml of the checkout, and what the user's files say otherwise, the last one first.

    Raises UserError if a file is missing or the settings are not valid.
    """
    checkout = Path(checkout)
    config: dict[str, Any] = {}
    for path in (checkout / "config.yaml", *files):
        try:
            changes = read_yaml(path)
        except OSError as error:
            raise UserError(f"The settings {path} cannot be read: {error.strerror}. Correct the path.") from error
        if not isinstance(changes, Mapping):
            raise UserError(f"The settings {path} must be keys with values, as config.yaml is.")
        config = merged(config, changes)
    drop_removed_models(config)
    check_config(config)
    return config


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others written over them, key by key, as Snakemake does it with --configfile."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result
