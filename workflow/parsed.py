"""The rules as Snakemake reads them, for what is made from them and for what is said of them."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake.rules import Rule

ROOT = Path(__file__).resolve().parents[1]


def parsed_rules() -> "list[Rule]":
    """All rules there are, which are those of the demo, in the order of the Snakefile; without `all`.

    It leaves the environment as it is, and in the working directory nothing.
    """
    from snakemake.api import SnakemakeApi  # not above, because it takes seconds
    from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

    before = dict(os.environ)
    output = OutputSettings(quiet={Quietness.ALL})
    settings = ConfigSettings(configfiles=[ROOT / "profiles" / "demo" / "settings.yaml"])
    try:
        with tempfile.TemporaryDirectory() as folder, SnakemakeApi(output) as api:
            workflow = api.workflow(ResourceSettings(), settings, snakefile=ROOT / "Snakefile", workdir=Path(folder))
            # Snakemake has no public name for what it has read.
            return [rule for rule in workflow._workflow.rules if rule.name != "all"]
    finally:
        os.environ.clear()
        os.environ.update(before)
