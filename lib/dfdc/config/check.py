"""Checking a configuration against the declared settings, with messages that help."""

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache, reduce
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dfdc.config.settings import Config
from dfdc.config.words import in_words, inner_type, type_of_names, types_of
from dfdc.system.errors import UserError
from dfdc.system.settings import Settings


def drop_removed_models(config: dict[str, Any]) -> None:
    """Take the models out that a settings file of the user's sets to null."""
    if isinstance(config.get("models"), dict):
        config["models"] = {name: model for name, model in config["models"].items() if model is not None}


def check_config(config: Mapping[str, Any]) -> None:
    """Check a configuration: all keys that are declared and no others, their types and ranges, and contradictions.

    Raises UserError with every fault, a line each: the key, what is wrong with it, what is expected; for an
    unknown key the nearest known one.
    """
    faults = list(_wordless_keys(config))
    try:
        settings = _adapter().validate_python(config)
    except ValidationError as error:
        faults += [fault for one in error.errors(include_url=False) for fault in _faults(one, config)]
    else:
        faults = faults or list(_contradictions(settings))
    if faults:
        # Of a value that may be one thing or another pydantic makes an error for each.
        lines = "\n".join(f"  {fault}" for fault in dict.fromkeys(faults))
        raise UserError(f"The configuration is not valid:\n{lines}")


@cache
def _adapter() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def _wordless_keys(config: Mapping[Any, Any], place: str = "") -> Iterable[str]:
    """Keys that YAML takes for a number, a truth value or nothing."""
    for key, value in config.items():
        if not isinstance(key, str):
            yield f"{place or 'the top level'}: the key {key!r} is not a word; put it into quotes"
        if isinstance(value, Mapping):
            yield from _wordless_keys(value, _joined(place, key))


def _faults(error: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """What an error of pydantic's is to the user."""
    path, value = _found(error["loc"], config)
    last = error["loc"][-1] if error["loc"] else ""
    if error["type"] == "missing":
        yield f"{_place(path)}: the key {last!r} is missing"
    elif error["type"] == "unexpected_keyword_argument":
        near = difflib.get_close_matches(last, types_of(_type(path[:-1])), 1, 0)
        yield f"{_place(path[:-1])}: unknown key {last!r}; did you mean {near[0]!r}?"
    elif last == "[key]" and isinstance(path[-1], str):
        expected = in_words(type_of_names(_type(path[:-1])))
        yield f"{_place(path[:-1])}: a name must be {expected}, and not {path[-1]!r}"
    elif last != "[key]" and error["type"] != "invalid_key":  # of which we know already
        expected = in_words(_type(path))
        yield f"{_place(path)}: must be {expected}, and not {value!r}{_hint(value, expected)}"


def _found(location: Sequence[str | int], config: Mapping[str, Any]) -> tuple[list[str | int], Any]:
    """As much of an error's location as is in the config, and the value there: pydantic adds words of its own."""
    path: list[str | int] = []
    value: Any = config
    for key in location:
        if not ((isinstance(value, Mapping) and key in value) or (isinstance(value, list) and isinstance(key, int))):
            break
        path, value = [*path, key], value[key]
    return path, value


def _type(path: Sequence[str | int]) -> Any:
    """The declared type of what is at a place."""
    return reduce(inner_type, path, Config)


def _place(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path)) or "the top level"


def _hint(value: Any, expected: str) -> str:
    """Why a word that looks like a number is none."""
    try:
        if "number" not in expected or not isinstance(value, str) or not math.isfinite(float(value)):
            return ""
    except ValueError:
        return ""
    return " (YAML takes 1e-3 for a word: write 0.001; nested values of --config are words: use --configfile)"


def _contradictions(value: Any, place: str = "") -> Iterator[str]:
    """What the declared sections in a value say of themselves."""
    if isinstance(value, Settings):
        yield from (f"{_joined(place, key)}: {fault}" for key, fault in value.contradictions())
        inside = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, dict):
        inside = value
    else:
        inside = dict(enumerate(value)) if isinstance(value, list) else {}
    for key, one in inside.items():
        yield from _contradictions(one, _joined(place, key))


def _joined(place: str, key: Any) -> str:
    return f"{place}.{key}".removeprefix(".")
