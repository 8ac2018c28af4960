"""Check a configuration against the declared settings, with helpful messages."""

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

# Bounds of a message: so many faults, and so many characters of a value.
MOST_FAULTS, LONGEST_VALUE = 100, 1000
# What is said of keys that have moved, by section and key.
_MOVED = {
    ("speed", "compile"): "it is training.compile now, because it changes the numbers of a training, which therefore "
    "runs again if it changes"
}


def drop_removed_models(config: dict[str, Any]) -> None:
    """Remove the models that a user's settings file sets to null."""
    if isinstance(config.get("models"), dict):
        config["models"] = {name: model for name, model in config["models"].items() if model is not None}


def check_config(config: Mapping[str, Any]) -> None:
    """Check a configuration: exactly the declared keys, their types and ranges, and no contradictions.

    Raises UserError that lists every fault on a line of its own: the key, what is wrong, and what is expected; for an
    unknown key, the closest known one.
    """
    faults = list(_keys_not_strings(config))
    try:
        settings = _adapter().validate_python(config)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        faults += [fault for detail in details[:MOST_FAULTS] for fault in _faults(detail, config)]
        faults += [f"… ({len(details)} faults)"] if len(details) > MOST_FAULTS else []
    else:
        faults = faults or list(_contradictions(settings))
    if faults:
        # For a value of a union type, pydantic reports one error per member, hence the duplicates.
        lines = "\n".join(f"  {fault}" for fault in dict.fromkeys(faults))
        raise UserError(f"The configuration is not valid:\n{lines}")


@cache
def _adapter() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def _keys_not_strings(config: Mapping[Any, Any], place: str = "") -> Iterable[str]:
    """Faults of keys that YAML reads as a number, a boolean or null."""
    for key, value in config.items():
        if not isinstance(key, str):
            yield f"{place or 'the top level'}: the key {key!r} is not a string; put it in quotes"
        if isinstance(value, Mapping):
            yield from _keys_not_strings(value, _joined(place, key))


def _faults(error: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """Translate a pydantic error for the user."""
    path, value = _located(error["loc"], config)
    last = error["loc"][-1] if error["loc"] else ""
    if error["type"] == "missing":
        yield f"{_place(path)}: the key {last!r} is missing"
    elif error["type"] == "unexpected_keyword_argument":
        place, near = _place(path[:-1]), difflib.get_close_matches(last, types_of(_type(path[:-1])), 1, 0)
        yield f"{place}: unknown key {last!r}; {_MOVED.get((place, last)) or f'did you mean {near[0]!r}?'}"
    elif last == "[key]" and len(path) == len(error["loc"]) - 1 and isinstance(path[-1], str):
        expected = in_words(type_of_names(_type(path[:-1])))
        yield f"{_place(path[:-1])}: a name must be {expected}, not {path[-1]!r}"
    elif last != "[key]" and error["type"] != "invalid_key":  # these are reported by _keys_not_strings
        expected = in_words(_type(path))
        shown = repr(value)
        shown = shown if len(shown) <= LONGEST_VALUE else f"{shown[:LONGEST_VALUE]} …"
        yield f"{_place(path)}: must be {expected}, not {shown}{_hint(value, expected)}"


def _located(location: Sequence[str | int], config: Mapping[str, Any]) -> tuple[list[str | int], Any]:
    """The part of an error's location that exists in the config, and the value there: pydantic appends type names."""
    path: list[str | int] = []
    value: Any = config
    for key in location:
        if not ((isinstance(value, Mapping) and key in value) or (isinstance(value, list) and isinstance(key, int))):
            break
        path, value = [*path, key], value[key]
    return path, value


def _type(path: Sequence[str | int]) -> Any:
    """The declared type of the value at a path."""
    return reduce(inner_type, path, Config)


def _place(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path)) or "the top level"


def _hint(value: Any, expected: str) -> str:
    """A hint for a string that looks like a number."""
    try:
        if "number" not in expected or not isinstance(value, str) or not math.isfinite(float(value)):
            return ""
    except ValueError:
        return ""
    return " (YAML reads 1e-3 as a string: write 0.001; nested values of --config are strings: use --configfile)"


def _contradictions(value: Any, place: str = "") -> Iterator[str]:
    """The contradictions of all sections within a value."""
    if isinstance(value, Settings):
        yield from (f"{_joined(place, key)}: {fault}" for key, fault in value.contradictions())
        children = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, dict):
        children = value
    else:
        children = dict(enumerate(value)) if isinstance(value, list) else {}
    for key, child in children.items():
        yield from _contradictions(child, _joined(place, key))


def _joined(place: str, key: Any) -> str:
    return f"{place}.{key}".removeprefix(".")
