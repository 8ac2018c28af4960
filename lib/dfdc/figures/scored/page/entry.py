"""What the index says of a video. Its page keeps that, too, for the index of a run that goes on after another."""

import base64
import json
from dataclasses import asdict, dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from dfdc.figures.scored.page.html import Html, tag

KEPT = "dfdc-entry"  # the name of the element in a page's head
HEAD = 65_536  # characters of a page in which it is looked for


@dataclass(frozen=True)
class Entry:
    """A video in the index; ``page`` is the name of its page's file, ``words`` are the verdict.

    ``probability`` is None if the video was not judged, ``seconds`` if its length is not known. ``thumbnail`` is a JPEG
    file, which may be empty.
    """

    name: str
    page: str
    words: str
    probability: float | None
    faces: int
    seconds: float | None
    thumbnail: bytes

    def kept(self, key: str) -> Html:
        """An element for the head of its page; ``key`` stands for what the page was made of."""
        content = asdict(self) | {"thumbnail": base64.b64encode(self.thumbnail).decode()}
        return tag("meta", name=KEPT, content=json.dumps({"key": key, "entry": content}))


def read_entry(page: Path, key: str) -> Entry | None:
    """The entry that a page keeps; None if there is no page, or it was made of something else."""
    finder = _Finder()
    try:
        with page.open(encoding="utf-8", errors="replace") as file:
            finder.feed(file.read(HEAD))
        kept = json.loads(finder.content or "")
        if kept["key"] != key:
            return None
        content = kept["entry"]
        return Entry(**content | {"thumbnail": base64.b64decode(content["thumbnail"], validate=True)})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):  # pages may have been edited
        return None


class _Finder(HTMLParser):
    """Finds the content of the element with an entry."""

    content: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        attributes = dict(attrs)
        if tag == "meta" and attributes.get("name") == KEPT and self.content is None:
            self.content = attributes.get("content")
