"""Paths and options that Snakemake does not support: they are reported before it fails on them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake_interface_executor_plugins.settings import DeploymentMethod

from dfdc.system.errors import UserError

IMAGE = "dfdc.sif"
# Snakemake puts the image's path into a shell command without quotes.
PLAIN = re.compile(r"[\w@%+=:,./-]+")


def image_of(workflow: Any, folder: Path) -> str | None:
    """The Apptainer image in the workflow's folder, or None if jobs are not to run in it.

    It is only declared if it is used, because Snakemake refuses some paths of images even if it does not use them.
    """
    return str(folder / IMAGE) if _in_container(workflow) else None


def check_places(workflow: Any, folder: Path, config: Mapping[str, Any]) -> None:
    """Raise UserError if paths cannot work: of the image, of the demo's data, or of results in a module."""
    if _in_container(workflow) and not (folder / IMAGE).is_file():
        raise UserError(
            f"Jobs are to run in a container, but the image {folder / IMAGE} does not exist. Build it as described in "
            "docs/containers.md, or leave out --software-deployment-method (--sdm) apptainer."
        )
    if _in_container(workflow) and not PLAIN.fullmatch(str(folder / IMAGE)):
        raise UserError(
            f"Jobs cannot run in a container: Snakemake does not take the path of the image, {folder / IMAGE}, because "
            "of spaces, quotes or other special characters. Move the clone of the workflow to another folder."
        )
    if workflow.modifier.path_modifier.replace_prefix("results") != "results":
        raise UserError(
            "The module statement that imports this workflow has a prefix or replace_prefix. The workflow does not "
            "support them: it finds its results and logs by their names in the working directory. Leave them out, and "
            "choose another folder with workdir: or --directory (see docs/modules.md)."
        )
    paths = [config["data"][key] for key in ("root", "test_videos", "test_labels")]
    if "demo" in config and any(brace in str(path) for path in paths for brace in "{}"):
        raise UserError(
            f"The demo writes its data to {', '.join(map(str, paths))} (data in the config), and Snakemake takes "
            "braces in the names of output files for wildcards. Choose names without braces."
        )


def _in_container(workflow: Any) -> bool:
    settings = workflow.deployment_settings
    return settings is not None and DeploymentMethod.APPTAINER in settings.deployment_method
