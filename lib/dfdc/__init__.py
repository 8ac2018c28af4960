"""Third-place solution of the Deepfake Detection Challenge, as a library. It does not need Snakemake.

``dfdc.score`` scores videos, see ``dfdc.cli.api``.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    # By name and late, so that `import dfdc` imports nothing, and no code hash follows.
    if name in ("score", "Scores"):
        return getattr(import_module("dfdc.cli.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
