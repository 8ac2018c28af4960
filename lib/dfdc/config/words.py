"""Descriptions of the values that a declared setting takes, for messages and for docs/settings.md."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Len

from dfdc.system.settings import Words, all_different

Kind = Any  # a type annotation

PLAIN = {NoneType: "null", bool: "true or false", str: "a string"}


@cache
def types_of(section: type) -> dict[str, Kind]:
    """{key: type} of a section that is declared as a dataclass."""
    hints = get_type_hints(section, include_extras=True)
    return {field.name: hints[field.name] for field in fields(section)}


def inner_type(kind: Kind, key: str | int) -> Kind | None:
    """The type at a key of a value of this type (a section, a list or a dict); None if it has no such key."""
    kind, _ = _parts(kind)
    if get_origin(kind) in (Union, UnionType):
        return next(filter(None, (inner_type(member, key) for member in get_args(kind))), None)
    if is_dataclass(kind):
        return types_of(kind).get(key)
    return get_args(kind)[-1] if get_origin(kind) in (dict, Sequence) else None


def type_of_names(kind: Kind) -> Kind:
    """The key type of a dict type, whose keys are names that the user chooses."""
    return get_args(_parts(kind)[0])[0]


def in_words(kind: Kind) -> str:
    """A description of the values of a type, such as "a whole number of at least 1"."""
    kind, metadata = _parts(kind)
    texts = [item.text for item in metadata if isinstance(item, Words)]
    if texts:
        return texts[0]
    if get_origin(kind) is Literal:
        return _enumerated(list(map(str, get_args(kind))))
    if get_origin(kind) in (Union, UnionType):
        return ", or ".join(map(in_words, get_args(kind)))
    if kind in (int, float):
        return " ".join(filter(None, ("a whole number" if kind is int else "a number", _range(metadata))))
    if kind in PLAIN:
        return PLAIN[kind]
    if is_dataclass(kind) or get_origin(kind) is dict:
        return "a mapping" + " with at least one key" * any(isinstance(item, Len) for item in metadata)
    return _list(get_args(kind)[0], metadata)


def _parts(kind: Kind) -> tuple[Kind, tuple[Any, ...]]:
    """A type without its annotations, and the annotations."""
    return (kind.__origin__, kind.__metadata__) if get_origin(kind) is Annotated else (kind, ())


def _range(metadata: tuple[Any, ...]) -> str:
    bounds = {
        name: getattr(item, name) for item in metadata for name in ("ge", "gt", "le", "lt") if hasattr(item, name)
    }
    match bounds:
        case {"ge": low, "le": high}:
            return f"from {low} to {high}"
        case {"gt": low, "lt": high}:
            return f"between {low} and {high}"
        case {"gt": low, "le": high}:
            return f"above {low} and up to {high}"
        case {"ge": low}:
            return f"of at least {low}"
        case {"gt": low}:
            return f"above {low}"
    return ""


def _list(entry: Kind, metadata: tuple[Any, ...]) -> str:
    (length,) = [item for item in metadata if isinstance(item, Len)] or [Len()]
    distinct = any(getattr(item, "func", None) is all_different for item in metadata)
    if length.max_length == 2:
        return f"[low, high], each {in_words(entry)}"
    adjectives = "non-empty " * length.min_length, "distinct " * distinct
    return f"a {adjectives[0]}list of {adjectives[1]}entries, each {in_words(entry)}"


def _enumerated(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
