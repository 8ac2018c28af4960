"""Results that were generated with other versions of libraries than those installed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dfdc.networks.weights.files import read_weights_metadata
from dfdc.preflight.findings import Finding
from dfdc.system.errors import UserError
from dfdc.system.versions import versions
from dfdc.system.words import some


def versions_of(path: Path) -> dict[str, str]:
    """The versions of libraries in a result's metadata; empty if there are none or the file cannot be read."""
    try:
        if path.suffix == ".parquet":
            known = json.loads((pq.read_schema(path).metadata or {}).get(b"versions", b"{}"))
        elif path.suffix == ".arrow":
            with pa.memory_map(str(path)) as file:
                known = json.loads((pa.ipc.open_file(file).schema.metadata or {}).get(b"versions", b"{}"))
        elif path.suffix == ".safetensors":
            known = read_weights_metadata(path).get("versions", {})
        elif path.suffix == ".json":
            known = json.loads(path.read_text(encoding="utf-8")).get("versions", {})
        else:
            return {}
    except (OSError, ValueError, AttributeError, pa.ArrowException, UserError):
        return {}
    return known if isinstance(known, dict) else {}


def other_versions(folder: Path, now: Mapping[str, str] | None = None) -> dict[str, list[Path]]:
    """Results below a folder, grouped by the libraries whose versions differ: ``torch 2.12.0 (now 2.13.0)``.

    ``now`` are the versions to compare with; None means those installed.
    """
    now = versions() if now is None else now
    differing: dict[str, list[Path]] = {}
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        changed = [
            f"{name} {version} (now {now.get(name, 'not installed')})"
            for name, version in versions_of(path).items()
            if now.get(name) != version
        ]
        if changed:
            differing.setdefault(", ".join(changed), []).append(path)
    return differing


def how_to_renew(paths: Sequence[Path]) -> str:
    """The snakemake command that regenerates results and everything downstream of them."""
    return f"snakemake … --forcerun {' '.join(map(str, paths[:4]))}{' …' if len(paths) > 4 else ''}"


def look_at_versions(folder: Path = Path("results")) -> Iterator[Finding]:
    """A finding for each set of other versions with which results below a folder were generated."""
    for libraries, paths in other_versions(folder).items():
        yield Finding(
            "note",
            "versions",
            f"Made with {libraries}: {some(map(str, paths))}. A new version does not make anything run again.",
            f"To regenerate them: {how_to_renew(paths)}",
        )
