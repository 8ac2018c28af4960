"""Checks of the programs: whether packages have the tested versions and can encode H.264."""

import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from shutil import which
from typing import Any

from packaging.requirements import Requirement

from dfdc.preflight.findings import Finding, untrained
from dfdc.system.words import some

PLUGIN = re.compile("snakemake_(executor|storage)_plugin_")
SLURM = "snakemake-executor-plugin-slurm"


def look_at_programs(config: Mapping[str, Any], checkout: Path) -> Iterator[Finding]:
    """Findings about the packages that pyproject.toml names, Snakemake and its plugins, and the encoders."""
    yield from _packages(checkout)
    yield from _snakemake()
    yield _confinement()
    if untrained(config):
        yield from _encoders(config["training"]["recompression"]["backend"])


def _packages(checkout: Path) -> Iterator[Finding]:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    versions = {package.name: _version(package.name) for package in wanted}
    missing = [str(package) for package in wanted if not versions[package.name]]
    other = [
        f"{package.name} {versions[package.name]} instead of {package.specifier}"
        for package in wanted
        if versions[package.name] and not package.specifier.contains(versions[package.name], prereleases=True)
    ]
    if missing:
        yield Finding("stops", "packages", f"Not installed: {some(missing)}.", "make install")
    if other:
        yield Finding("note", "packages", f"Not the tested versions: {some(other)}.", "make install")
    if not missing and not other:
        yield Finding("ok", "packages", f"all {len(wanted)} have the tested versions")


def _snakemake() -> Iterator[Finding]:
    # Snakemake also finds plugins by their module names.
    modules = sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules() if PLUGIN.match(module.name))
    plugins = [f"{name.removeprefix('snakemake-')} {_version(name)}" for name in modules]
    listed = ", ".join([f"snakemake {_version('snakemake')}", *plugins])
    if which("sbatch") and not _version(SLURM):
        message = f"{listed}; this is a SLURM cluster, but {SLURM} is missing."
        yield Finding("note", "snakemake", message, "make install")
    else:
        yield Finding("ok", "snakemake", listed)


def _confinement() -> Finding:
    """Whether the processes that decode videos can be sandboxed, tried in a process of its own."""
    code = "from dfdc.system.workers.confinement import confine; print(*confine(), sep='; ')"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if tried.returncode:
        missing = (tried.stderr.strip().splitlines() or [f"status {tried.returncode}"])[-1]
    else:
        missing = tried.stdout.strip()
    if missing:
        message = f"Processes that decode videos cannot be fully sandboxed on this system: {missing}."
        return Finding("note", "decoders", message, "Process untrusted videos in a container or a virtual machine.")
    return Finding("ok", "decoders", "are sandboxed: no network, no other programs, limited memory and files")


def _encoders(backend: str) -> Iterator[Finding]:
    faults = {"pyav": _fault_of_pyav(), "ffmpeg": _fault_of_ffmpeg()}
    if fault := faults[backend]:
        other = next(name for name in faults if name != backend)
        remedy = (
            "make install" if faults[other] else f"make install, or training: {{recompression: {{backend: {other}}}}}"
        )
        yield Finding("stops", "encoder", f"{fault}, and training encodes clips with it", remedy)
    else:
        unused = [fault for name, fault in faults.items() if fault and name != backend]
        yield Finding("ok", "encoder", "; ".join([f"libx264 in {backend}, used for training", *unused]))


def _fault_of_pyav() -> str:
    import av

    try:
        av.Codec("libx264", "w")
    except (av.FFmpegError, ValueError):
        return f"PyAV {av.__version__} has no libx264"
    return ""


def _fault_of_ffmpeg() -> str:
    import imageio_ffmpeg

    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        listed = subprocess.run([program, "-hide_banner", "-encoders"], capture_output=True, text=True, timeout=60)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return f"the ffmpeg program does not run ({error})"
    return "" if " libx264 " in listed.stdout else f"{program} has no libx264"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
