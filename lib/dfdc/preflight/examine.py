"""What would stop or slow a run: a look at the settings, the data, the weights, the programs and the machine."""

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
    """Everything that there is to say about a run with these settings, started in the working directory.

    ``config`` is valid (``dfdc.config.reading.read_config``), ``checkout`` the folder of the Snakefile. Nothing is
    written.
    """
    of_data, amounts = look_at_data(config)
    return [
        *of_data,
        *look_at_weights(config),
        *look_at_programs(config, checkout),
        *look_at_machine(config, amounts),
        *look_at_versions(),
    ]
