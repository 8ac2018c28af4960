"""How a section of the settings is declared: a frozen dataclass of typed fields, each with a description below it.

Ranges are part of the types (``Annotated`` with constraints from annotated-types): ``dfdc.config.check`` enforces them,
``dfdc.config.words`` describes them. Nothing here imports pydantic, because jobs import this module and only the check
needs it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Len, Predicate

from dfdc.system.errors import UserError


class Settings:
    """A section of the settings. Subclasses are frozen dataclasses whose fields are the keys."""

    # For pydantic: no other keys, no conversions, no infinities.
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """Accept mappings as sections although types are strict; contradictions are checked separately."""
        return handler(source) | {"strict": False, "post_init": False}

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """(key, fault) for keys that are valid by themselves but contradict others."""
        yield from ()

    def refuse_contradictions(self, place: str) -> None:
        """Raise UserError if there are any; ``place`` is the name of the section in the message."""
        if faults := [f"{place}.{key}: {fault}" for key, fault in self.contradictions()]:
            raise UserError("\n".join(faults))


@dataclass(frozen=True)
class Words:
    """A description of the values of a type, used in place of the one derived from its bounds."""

    text: str


def is_part_name(text: str) -> bool:
    """Whether a string can be the name of a part's folder. It is in the names of results, too: Snakemake takes braces
    there for wildcards, and prints them."""
    is_name = text.isprintable() and not set("/{}") & set(text) and text not in ("", ".", "..")
    return is_name and len(text.encode()) <= 200


def no_nul(text: str) -> bool:
    """Whether a string has no NUL, which no path can have."""
    return "\0" not in text


def all_different(items: Collection[Any]) -> bool:
    """Whether no item occurs twice."""
    return len(items) == len(set(map(repr, items)))


Count = Annotated[int, Ge(1)]
Whole = Annotated[int, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
Positive = Annotated[float, Gt(0)]
Threads = Annotated[int, Ge(1), Le(1024)]
Pixels = Annotated[int, Ge(32), Le(4096), Words("a whole number from 32 to 4096 (pixels)")]
Precision = Literal["fp32", "bf16", "fp16"]
File = Annotated[str, Len(1), Predicate(no_nul), Words("the path of a file")]
Folder = Annotated[str, Len(1), Predicate(no_nul), Words("the path of a folder")]
Part = Annotated[str, Predicate(is_part_name), Words("the name of a folder, at most 200 bytes, without braces")]
