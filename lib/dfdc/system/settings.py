"""How a section of the settings is declared: a frozen dataclass of typed fields, each with its description below it.

The ranges are in the types (``Annotated`` with what annotated-types has for them), so that ``dfdc.config.check`` can
enforce them and words can be made of them. Nothing here needs pydantic: jobs import it, too, and only the check does.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Len, Predicate

from dfdc.system.errors import UserError


class Settings:
    """A section of the settings: its subclasses are frozen dataclasses whose fields are its keys."""

    # What pydantic is told: no other keys, no conversions, no infinities.
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """Sections come as mappings, also where types are strict; what they refuse when made is asked for later."""
        return handler(source) | {"strict": False, "post_init": False}

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """(key, what is wrong with it) for keys that are each valid, but not together."""
        yield from ()

    def refuse_contradictions(self, place: str) -> None:
        """Raise UserError if there are any; ``place`` is what to call the section."""
        if faults := [f"{place}.{key}: {fault}" for key, fault in self.contradictions()]:
            raise UserError("\n".join(faults))


@dataclass(frozen=True)
class Words:
    """What a type is called where its values are asked for, if its bounds do not say it all."""

    text: str


def no_folders(text: str) -> bool:
    """Whether a text is the name of one file or folder, and no path."""
    return bool(text) and "/" not in text


def all_different(items: Collection[Any]) -> bool:
    """Whether no item comes twice."""
    return all(item not in list(items)[:number] for number, item in enumerate(items))


Count = Annotated[int, Ge(1)]
Whole = Annotated[int, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
Positive = Annotated[float, Gt(0)]
Pixels = Annotated[int, Ge(32), Words("a whole number of at least 32 (pixels)")]
File = Annotated[str, Len(1), Words("the path of a file")]
Folder = Annotated[str, Len(1), Words("the path of a folder")]
Part = Annotated[str, Predicate(no_folders), Words("the name of a folder")]
