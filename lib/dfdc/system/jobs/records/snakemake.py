"""What Snakemake recorded about earlier jobs."""

import ast
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A file for each output, below the working directory. Its name is the output's path, coded.
METADATA = Path(".snakemake/metadata")


@dataclass(frozen=True)
class Record:
    """The last finished job that wrote an output, which may have been removed since.

    ``params`` are the values of its parameters as Python's literals; ``seconds`` is how long it took, if that is known.
    """

    output: str
    rule: str
    log: str
    params: tuple[str, ...]
    seconds: float | None

    def mappings(self) -> Iterator[dict[str, Any]]:
        """The parameters that are mappings, such as settings."""
        for text in self.params:
            try:
                value = ast.literal_eval(text)
            except (ValueError, SyntaxError):
                continue
            if isinstance(value, dict):
                yield value


def read_records(folder: Path) -> list[Record]:
    """The records of the outputs in a working directory, sorted by output; damaged ones are passed over."""
    found = (_read(path, folder / METADATA) for path in (folder / METADATA).rglob("*") if path.is_file())
    return sorted(filter(None, found), key=lambda record: record.output)


def recorded_param(workflow: Any, output: str, name: str) -> Any:
    """The value under the key ``name`` of the parameter {name: value} that an output was made with; None if unknown."""
    from snakemake.io import IOFile  # late: what only reads records works without Snakemake

    for text in workflow.persistence.params(IOFile(output)) or []:  # the representations of all parameters' values
        if text.startswith(f"{{{name!r}: "):
            return ast.literal_eval(text)[name]
    return None


def _read(path: Path, top: Path) -> Record | None:
    try:
        # A long name is split: all parts but the last are folders that begin with @.
        code = "".join(part.removeprefix("@") for part in path.relative_to(top).parts)
        output = base64.urlsafe_b64decode(code).decode()
        content = json.loads(path.read_text(encoding="utf-8"))
        begin, end = content.get("starttime"), content.get("endtime")
        log = (content["log"] or [""])[0]
        return Record(output, content["rule"], log, tuple(content["params"]), end - begin if begin and end else None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
