"""Checking a configuration against its schema, with messages that help."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from dfdc.errors import UserError


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file. Raises UserError with the place of the fault if it is not valid."""
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from error


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check a configuration against a JSON schema, and what a schema cannot say.

    Raises UserError with every fault, a line each: the key, what is wrong with it, what is expected; for an
    unknown key the nearest known one.
    """
    errors = sorted(
        Draft202012Validator(schema).iter_errors(config),
        key=lambda error: list(map(str, error.absolute_path)),
    )
    faults = [fault for error in errors for fault in _faults(error)] or list(_contradictions(config))
    if faults:
        raise UserError("The configuration is not valid:\n" + "\n".join(f"  {fault}" for fault in faults))


def _faults(error: Any) -> Iterable[str]:
    place = ".".join(map(str, error.absolute_path)) or "the top level"
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", ()))
        for key in sorted(set(error.instance) - set(known)):
            near = difflib.get_close_matches(str(key), known, 1, 0)
            yield f"{place}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    elif error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        yield f"{place}: the key {missing[0]!r} is missing"
    else:
        hint = ""
        if isinstance(error.instance, str) and "number" in str(error.validator_value):
            hint = " (YAML takes 1e-3 for a word: write 0.001 or 1.0e-3)"
        expected = error.schema.get("description", "")
        yield f"{place}: {error.message}{hint}" + (f". Expected: {expected}" if expected else "")


def _contradictions(config: Mapping[str, Any]) -> Iterable[str]:
    """Faults of keys that are each valid by themselves."""
    length = config["prediction"]["sequence_length"]
    for name, model in config["models"].items():
        place = f"models.{name}"
        if max(model["frames"]) >= config["clips"]["frames"]:
            yield f"{place}.frames: a clip has the frames 0 to {config['clips']['frames'] - 1} (clips.frames)"
        if model["kind"] == "sequence" and len(model["frames"]) != length:
            yield f"{place}.frames: has {len(model['frames'])} frames, but prediction.sequence_length is {length}"
        if max(model["score"]["take"]) >= model["score"]["of"]:
            yield f"{place}.score.take: must be less than {place}.score.of ({model['score']['of']})"
    for half in ("train", "test"):
        detection = config["detection"][half]
        if detection["detector"] == "dsfd" and not detection["weights"]:
            yield f"detection.{half}.weights: dsfd needs the file of its weights"
        if detection["detector"] == "yunet" and detection["resize"] != "longer_side":
            yield f"detection.{half}.resize: yunet takes longer_side only"
    if config["training"]["warmup_iterations"] >= config["training"]["iterations"]:
        yield "training.warmup_iterations: must be less than training.iterations"
