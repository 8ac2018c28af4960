"""HTML that its content cannot break: every text is escaped, unless it was made here."""

from html import escape
from typing import Any

from dfdc.system.words import printable

VOID = ("img", "input", "link", "meta")  # elements without an end tag


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *content: Any, **attributes: Any) -> Html:
    """An element. Content that is None is left out, and what is not ``Html`` is escaped.

    ``aria_sort="none"`` is the attribute ``aria-sort``, and ``class_`` is ``class``. Attributes that are None are left
    out.
    """
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(text(each) for each in content if each is not None)
    return Html(f"<{name}{words}>" if name in VOID else f"<{name}{words}>{inside}</{name}>")


def text(value: Any) -> Html:
    """Any value as HTML. Control characters, and bytes that are not UTF-8, become escape sequences that can be read."""
    return value if isinstance(value, Html) else Html(escape(printable(str(value))))


def table(caption: str, head: list[str], rows: list[list[Any]], **attributes: Any) -> Html:
    """A table whose first column names its rows; it scrolls where it is too wide."""
    columns = tag("tr", *(tag("th", name, scope="col") for name in head))
    lines = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    whole = tag("table", tag("caption", caption), tag("thead", columns), tag("tbody", *lines), **attributes)
    return tag("div", whole, class_="wide", role="region", aria_label=caption, tabindex="0")
