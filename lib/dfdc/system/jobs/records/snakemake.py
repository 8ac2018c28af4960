"""What Snakemake recorded about earlier jobs."""

import ast
from typing import Any

from snakemake.io import IOFile


def recorded_param(workflow: Any, output: str, name: str) -> Any:
    """The value under the key ``name`` of the parameter {name: value} that an output was made with; None if unknown."""
    for text in workflow.persistence.params(IOFile(output)) or []:  # the representations of all parameters' values
        if text.startswith(f"{{{name!r}: "):
            return ast.literal_eval(text)[name]
    return None
