"""The rules as parsed by Snakemake, for generated pages and for tests."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake.rules import Rule

ROOT = Path(__file__).resolve().parents[1]


def parsed_rules() -> "list[Rule]":
    """All rules except `all`, in the order of the Snakefile, with the demo's settings (which include every rule).

    The environment and the working directory are left unchanged.
    """
    from snakemake.api import SnakemakeApi  # imported late because it takes seconds
    from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

    before = dict(os.environ)
    output = OutputSettings(quiet={Quietness.ALL})
    settings = ConfigSettings(configfiles=[ROOT / "profiles" / "demo" / "settings.yaml"])
    try:
        with tempfile.TemporaryDirectory() as folder, SnakemakeApi(output) as api:
            workflow = api.workflow(ResourceSettings(), settings, snakefile=ROOT / "Snakefile", workdir=Path(folder))
            # Snakemake has no public access to the parsed rules.
            return [rule for rule in workflow._workflow.rules if rule.name != "all"]
    finally:
        os.environ.clear()
        os.environ.update(before)
