"""All checks of ``dfdc doctor``: data, weights, programs, machine and versions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfdc.preflight.data import look_at_data
from dfdc.preflight.findings import Finding
from dfdc.preflight.machine import look_at_machine
from dfdc.preflight.programs import look_at_programs
from dfdc.preflight.versions import look_at_versions
from dfdc.preflight.weights import look_at_weights


def examine(config: Mapping[str, Any], checkout: Path) -> list[Finding]:
    """All findings for a run with these settings in the working directory.

    ``config`` must be valid (``dfdc.config.reading.read_config``); ``checkout`` is the folder of the Snakefile. Nothing
    is written.
    """
    of_data, amounts = look_at_data(config)
    return [
        *of_data,
        *look_at_weights(config),
        *look_at_programs(config, checkout),
        *look_at_machine(config, amounts),
        *look_at_versions(),
    ]
