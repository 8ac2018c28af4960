"""Checking a configuration against its schema, with messages that help."""

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from dfdc.data.parts import find_parts
from dfdc.system.errors import UserError

# JSON has no infinity and takes 50.0 for a whole number; YAML has the one, and Python cannot count with the other.
_TYPES = Draft202012Validator.TYPE_CHECKER.redefine_many(
    {
        "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
        "number": lambda _, value: (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        ),
    }
)
_Validator = extend(Draft202012Validator, type_checker=_TYPES)


def drop_removed_models(config: dict[str, Any]) -> None:
    """Take the models out that a settings file of the user's sets to null."""
    if isinstance(config.get("models"), dict):
        config["models"] = {name: model for name, model in config["models"].items() if model is not None}


def check_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check a configuration against a JSON schema, and what a schema cannot say.

    Raises UserError with every fault, a line each: the key, what is wrong with it, what is expected; for an
    unknown key the nearest known one.
    """
    errors = sorted(
        _Validator(schema).iter_errors(config),
        key=lambda error: list(map(str, error.absolute_path)),
    )
    faults = [*_wordless_keys(config), *(fault for error in errors for fault in _faults(error))]
    faults = faults or list(_contradictions(config))
    if faults:
        # Of two missing keys the validator makes two errors that both name both.
        lines = "\n".join(f"  {fault}" for fault in dict.fromkeys(faults))
        raise UserError(f"The configuration is not valid:\n{lines}")


def _wordless_keys(config: Mapping[Any, Any], place: str = "") -> Iterable[str]:
    """Keys that YAML takes for a number, a truth value or nothing: a schema sees no fault in them."""
    for key, value in config.items():
        if not isinstance(key, str):
            yield f"{place or 'the top level'}: the key {key!r} is not a word; put it into quotes"
        if isinstance(value, Mapping):
            yield from _wordless_keys(value, f"{place}.{key}".removeprefix("."))


def _faults(error: Any) -> Iterable[str]:
    place = ".".join(map(str, error.absolute_path)) or "the top level"
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", ()))
        for key in sorted(set(error.instance) - set(known), key=str):
            near = difflib.get_close_matches(str(key), known, 1, 0)
            yield f"{place}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                yield f"{place}: the key {key!r} is missing"
    else:
        hint = ""
        if error.validator_value in ("number", "integer") and _spells_number(error.instance):
            hint = " (YAML takes 1e-3 for a word: write 0.001; nested values of --config are words: use --configfile)"
        expected = error.schema.get("description", "")
        yield f"{place}: {error.message}{hint}" + (f". Expected: {expected}" if expected else "")


def _spells_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


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
        side = max(model["crop"]["height"], model["crop"]["width"])
        if not model["crop"]["pad"] and model["crop"]["smaller_side"] < side:
            yield f"{place}.crop.smaller_side: must be at least {side} (height and width), or set {place}.crop.pad"
    for half in ("train", "test"):
        detection = config["detection"][half]
        if detection["detector"] == "dsfd" and not detection["weights"]:
            yield f"detection.{half}.weights: dsfd needs the file of its weights"
        if detection["detector"] == "yunet" and detection["resize"] != "longer_side":
            yield f"detection.{half}.resize: yunet takes longer_side only"
    if config["detection"]["train"]["every"] > config["clips"]["frames"]:
        yield "detection.train.every: must be at most clips.frames, or no sampled frame may lie in a clip"
    ranges = {f"training.recompression.{key}": config["training"]["recompression"][key] for key in ("fps", "crf")}
    for place, (low, high) in ranges.items():
        if low >= high:  # the upper end is not drawn
            yield f"{place}: [{low}, {high}] holds no number; the first must be less than the second"
    ranges = {
        "training.recompression.scale": config["training"]["recompression"]["scale"],
        "ensemble.clip": config["ensemble"]["clip"],
    }
    for place, (low, high) in ranges.items():
        if low > high:
            yield f"{place}: the first number ({low}) must not be more than the second ({high})"
    if "demo" in config:
        made = [f"dfdc_train_part_{number}" for number in range(config["demo"]["parts"])]
        if config["data"]["parts"] != made:
            yield f"data.parts: must be {made}, the parts that the demo makes (demo.parts)"
    yield from _faults_of_validation(config)
    yield from _faults_of_calibration(config)
    if config["training"]["warmup_iterations"] >= config["training"]["iterations"]:
        yield "training.warmup_iterations: must be less than training.iterations"


def _faults_of_validation(config: Mapping[str, Any]) -> Iterable[str]:
    """Parts to keep out of training that there are not, or that leave nothing to train on."""
    wanted, parts = config["validation"]["parts"], config["data"]["parts"]
    if wanted and parts == "auto":
        parts = find_parts(config["data"]["root"])
    if not wanted or not parts:
        return  # whether there must be parts is not for this key to say
    for name in wanted:
        if name not in parts:
            near = difflib.get_close_matches(name, parts, 1, 0)[0]
            yield f"validation.parts: {name!r} is none of the training parts (data.parts); did you mean {near!r}?"
    if set(parts) <= set(wanted):
        yield "validation.parts: names all training parts (data.parts); leave at least one to train on"


def _faults_of_calibration(config: Mapping[str, Any]) -> Iterable[str]:
    """A calibration that needs validation pairs, where there are none."""
    calibration, validation = config["ensemble"]["calibration"], config["validation"]
    if calibration == "published":
        return
    if all(model["weights"] for model in config["models"].values()):
        fault = "with weights for all models nothing is trained"
    elif not validation["parts"] and validation["share"] == 0:
        fault = "validation.parts and validation.share keep nothing out"
    else:
        return
    yield f"ensemble.calibration: {calibration} is fitted on validation pairs, but {fault}; set published"
