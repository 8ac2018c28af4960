"""The settings of a run: the checkout's config.yaml, overridden by the user's own files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dfdc.config.check import check_config, drop_removed_models
from dfdc.system.errors import UserError
from dfdc.system.jobs.provenance import LIBRARY

# Files by which the folder of the workflow is recognised.
CHECKOUT_HAS = ("Snakefile", "config.yaml", "pyproject.toml", "workflow/scripts/train.py")


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file. Raises UserError with the position of the error if it is not valid."""
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from error


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


def read_config(checkout: str | Path, files: Sequence[str | Path] = ()) -> dict[str, Any]:
    """The settings of a run: the checkout's config.yaml, overridden by ``files`` in order (the last one wins).

    Raises UserError if a file is missing or the settings are not valid.
    """
    checkout = Path(checkout)
    config: dict[str, Any] = {}
    for path in (checkout / "config.yaml", *files):
        try:
            changes = read_yaml(path)
        except OSError as error:
            raise UserError(f"The settings file {path} cannot be read: {error.strerror}. Correct the path.") from error
        if not isinstance(changes, Mapping):
            raise UserError(f"The settings file {path} must be a mapping of keys to values, like config.yaml.")
        config = merged(config, changes)
    drop_removed_models(config)
    check_config(config)
    return config


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` updated recursively with ``changes``, as Snakemake does with --configfile."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result
