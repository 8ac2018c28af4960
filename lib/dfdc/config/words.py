"""What a declared setting takes, in words: for messages and for the page of settings."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Len

from dfdc.system.settings import Words, all_different

Kind = Any  # a type, as it is written in a declaration

PLAIN = {NoneType: "null", bool: "true or false", str: "a text"}


@cache
def types_of(section: type) -> dict[str, Kind]:
    """{key: type} of a section that is declared as a dataclass."""
    hints = get_type_hints(section, include_extras=True)
    return {field.name: hints[field.name] for field in fields(section)}


def inner_type(kind: Kind, key: str | int) -> Kind | None:
    """The type of what is at a key of a value of this type (a section, a list or names with values); None if nothing
    is."""
    kind, _ = _parts(kind)
    if get_origin(kind) in (Union, UnionType):
        return next(filter(None, (inner_type(one, key) for one in get_args(kind))), None)
    if is_dataclass(kind):
        return types_of(kind).get(key)
    return get_args(kind)[-1] if get_origin(kind) in (dict, Sequence) else None


def type_of_names(kind: Kind) -> Kind:
    """The type of the names that a value of this type has, where they are free."""
    return get_args(_parts(kind)[0])[0]


def in_words(kind: Kind) -> str:
    """What a value of a type must be, such as: a whole number of at least 1."""
    kind, about = _parts(kind)
    named = [one.text for one in about if isinstance(one, Words)]
    if named:
        return named[0]
    if get_origin(kind) is Literal:
        return _enumerated(list(map(str, get_args(kind))))
    if get_origin(kind) in (Union, UnionType):
        return ", or ".join(map(in_words, get_args(kind)))
    if kind in (int, float):
        return " ".join(filter(None, ("a whole number" if kind is int else "a number", _range(about))))
    if kind in PLAIN:
        return PLAIN[kind]
    if is_dataclass(kind) or get_origin(kind) is dict:
        return "keys with values" + ", at least one" * any(isinstance(one, Len) for one in about)
    return _list(get_args(kind)[0], about)


def _parts(kind: Kind) -> tuple[Kind, tuple[Any, ...]]:
    """A type without what is annotated, and that."""
    return (kind.__origin__, kind.__metadata__) if get_origin(kind) is Annotated else (kind, ())


def _range(about: tuple[Any, ...]) -> str:
    bounds = {name: getattr(one, name) for one in about for name in ("ge", "gt", "le", "lt") if hasattr(one, name)}
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


def _list(item: Kind, about: tuple[Any, ...]) -> str:
    (length,) = [one for one in about if isinstance(one, Len)] or [Len()]
    different = any(getattr(one, "func", None) is all_different for one in about)
    if length.max_length == 2:
        return f"[low, high], each {in_words(item)}"
    return f"a list of {'different ' * different}entries{', at least one' * length.min_length}, each {in_words(item)}"


def _enumerated(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
