"""Write the table of settings into docs/settings.md: every key, what it takes, what config.yaml has, what it is for.

    python workflow/settings.py [--check]

Keys, types, ranges and descriptions are those that the stages declare (dfdc.config.settings). With --check nothing is
written, and the exit status is 1 if the page says something else.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from dfdc.config.settings import Config  # noqa: E402
from dfdc.config.words import in_words, inner_type, types_of  # noqa: E402

PAGE = ROOT / "docs" / "settings.md"
BEGIN, END = "<!-- written by workflow/settings.py -->", "<!-- end -->"
HEAD = f"""\
# Settings

Every key that a settings file may have, what it takes, what [config.yaml](../config.yaml) has, and what it is for. A
file of your own holds only the keys that differ and is given with `--configfile my.yaml`. The rules are those that the
stages declare beside their code, put together in [lib/dfdc/config/settings.py](../lib/dfdc/config/settings.py).

{BEGIN}
{END}
"""


Place = tuple[str, ...]


def leaves(kind: Any = Config, place: Place = (), about: str = "") -> Iterator[tuple[Place, Any, str]]:
    """(place, type, description) of every key that has a value of its own; {name} and {number} stand for any."""
    if is_dataclass(kind):
        words = descriptions(kind)
        for key, inner in types_of(kind).items():
            yield from leaves(inner, (*place, key), words.get(key, ""))
    elif in_words(kind).startswith("a mapping"):
        yield from leaves(inner_type(kind, "name"), (*place, "{name}"), about)
    else:
        yield place, kind, about
        if is_dataclass(inner := inner_type(kind, 0)):  # a list of sections
            yield from leaves(inner, (*place, "{number}"))


def descriptions(section: type) -> dict[str, str]:
    """{key: what stands below it} of a section and of those that it extends."""
    found: dict[str, str] = {}
    for one in filter(is_dataclass, reversed(section.__mro__)):
        body = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0].body
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                found[field.target.id] = " ".join(text.value.value.split())
    return found


def values(config: Any, place: Place) -> list[Any]:
    """What a config has at a place, once for each name and number."""
    if not place:
        return [config]
    if place[0] in ("{name}", "{number}"):
        inside = list(config.values() if isinstance(config, dict) else config)
    else:
        inside = [config[place[0]]] if place[0] in config else []
    return [value for one in inside for value in values(one, place[1:])]


def table() -> str:
    """The rows, in the order of the declarations."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    rows = ["| key | takes | config.yaml | what it is for |", "|---|---|---|---|"]
    for place, kind, about in leaves():
        found = list(dict.fromkeys(map(shown, values(config, place))))
        default = "not there" if not found else found[0] if len(found) == 1 else "differs"
        cells = (f"`{'.'.join(place)}`", in_words(kind), default, about)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def shown(value: Any) -> str:
    """A value as YAML would have it."""
    return f"`{yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix('...' + chr(10)).strip()}`"


def main() -> None:
    """Write the table, or compare it."""
    before = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else HEAD
    head, rest = before.split(BEGIN)
    now = f"{head}{BEGIN}\n{table()}{END}{rest.partition(END)[2]}"
    if "--check" not in sys.argv:
        PAGE.write_text(now, encoding="utf-8")
    elif not PAGE.is_file() or now != before:
        sys.exit("docs/settings.md does not say what the settings are: run python workflow/settings.py")


if __name__ == "__main__":
    main()
