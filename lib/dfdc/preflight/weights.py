"""Checks of the weights files: whether they exist and match their models."""

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dfdc.preflight.findings import Finding, untrained
from dfdc.preflight.inputs import HOW_TO_GET_WEIGHTS, LITE0, fault_of_weights, weight_files, whole_run
from dfdc.system.errors import UserError


def look_at_weights(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings about each weights file that a run would read. Files are loaded as in the run."""
    try:
        jobs = whole_run(config)
        if untrained(config):  # also if there are no parts yet
            jobs.append(("detect_faces", {}))
        wanted = weight_files(config, jobs)
    except UserError as error:
        yield Finding("stops", "weights", str(error))
        return
    keys_of: dict[str | None, list[str]] = {}
    for key, path in wanted.items():
        keys_of.setdefault(path, []).append(key)
    for path, keys in keys_of.items():
        for key in keys[:1] if path else keys:
            if fault := fault_of_weights(key, path):
                yield Finding("stops", "weights", fault, HOW_TO_GET_WEIGHTS)
            else:
                yield from _about(key, path, config, ", ".join(keys) if path else key)


def _about(key: str, path: str | None, config: Mapping[str, Any], keys: str) -> Iterator[Finding]:
    """The finding for the file at ``key``; ``keys`` are all keys with the same file."""
    section, name, *_ = key.split(".")
    if section == "models" and not path:
        return  # to be trained
    if section == "pretrained" and not path:
        yield Finding("note", "weights", f"{key}: none, so training starts from random weights")
        return
    try:
        description = {
            "models": lambda: _finished(path, config["models"][name]),
            "detection": lambda: _detector(config["detection"][name]),
            "pretrained": lambda: _pretrained(path, name),
        }[section]()
    except UserError as error:
        yield Finding("stops", "weights", f"{keys}: {error}")
        return
    if description:
        yield Finding("ok", "weights", f"{keys}: {description}")
    else:
        yield Finding(
            "stops",
            "weights",
            f"{keys}: {path} is a TensorFlow checkpoint, and TensorFlow, which is needed to read it, is not installed",
            "pip install tensorflow-cpu==2.21.0, or use timm's safetensors of the same weights, or run snakemake with "
            "--software-deployment-method conda.",
        )


def _finished(path: str, model: Mapping[str, Any]) -> str:
    from dfdc.networks.weights.load import load_weights  # imported late, because torch takes seconds to import

    load_weights(path, model["architecture"], model["kind"])
    return f"finished weights of a {model['kind']} model of {model['architecture']}, {_kind(path)}"


def _pretrained(path: str, architecture: str) -> str:
    """A description of the file; empty if it needs TensorFlow and that is not installed."""
    from dfdc.networks.weights.pretrained import LITE0_PACKAGE, load_pretrained
    from dfdc.networks.weights.tensorflow import is_checkpoint

    if path == LITE0:
        load_pretrained(LITE0_PACKAGE, architecture)
        return f"{architecture} from the package {LITE0_PACKAGE}"
    if is_checkpoint(Path(path)):
        # Reading it takes minutes; the conversion checks whether it matches.
        return "a TensorFlow checkpoint (not read)" if importlib.util.find_spec("tensorflow") else ""
    load_pretrained(path, architecture)
    return f"{architecture} to start from, {_kind(path)}"


def _detector(settings: Mapping[str, Any]) -> str:
    if settings["detector"] == "yunet":
        from dfdc.stages.faces.detection.yunet import YuNetDetector

        YuNetDetector(settings["weights"], settings["size"], settings["threshold"])
        return "yunet, " + (settings["weights"] or "as it comes with the packages")
    from dfdc.stages.faces.detection.dsfd.weights import load_dsfd

    load_dsfd(settings["weights"])
    return "dsfd with a ResNet-152, as published"


def _kind(path: str) -> str:
    """The origin or format of a weights file."""
    from dfdc.networks.weights.files import read_tensors, read_weights_metadata
    from dfdc.networks.weights.timm import is_timm

    if "architecture" in read_weights_metadata(path):
        return "trained here"
    if is_timm(read_tensors(Path(path))):
        return "timm's"
    return "a PyTorch file" if Path(path).suffix == ".pth" else "with efficientnet-pytorch's names"
