"""The index of the pages of a run: a table of all videos, which a script sorts."""

from collections import Counter
from collections.abc import Sequence

from dfdc.figures.scored.page.document import document
from dfdc.figures.scored.page.entry import Entry
from dfdc.figures.scored.page.html import Html, tag
from dfdc.figures.scored.page.pictures import image
from dfdc.figures.scored.page.verdict import CLASSES, VERDICTS, capital, share
from dfdc.figures.style import thousands
from dfdc.system.words import duration

# The columns: their names, what sorts them, and the class of style.
COLUMNS = (
    ("face", None, None),
    ("{noun}", "text", None),
    ("verdict", "number", None),
    ("probability of fake", "number", "number"),
    ("faces", "number", "number minor"),
    ("length", "number", "number minor"),
)
SORTED_BY = "probability of fake"
# Buttons are made here, because without scripts they would do nothing. What has no value stays at the end.
_SCRIPT = """
for (const table of document.querySelectorAll("table.videos")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  table.caption.textContent = "Click a heading to sort the table.";
  const value = (row, column) => row.cells[column].dataset.value;
  const compare = (kind, sign, column) => (one, other) => {
    const [a, b] = [value(one, column), value(other, column)];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return sign * (kind === "number" ? a - b : a.localeCompare(b, undefined, {numeric: true}));
  };
  heads.forEach((head, column) => {
    const kind = head.dataset.kind;
    if (!kind) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const first = kind === "number" ? "descending" : "ascending";
      const order = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
      for (const other of heads) if (other.dataset.kind) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      body.append(...[...body.rows].sort(compare(kind, sign, column)));
    });
  });
}
"""


def line_of(entry: Entry) -> Html:
    """The row of a video. It is made once, because pages with many rows are written again and again."""
    picture = image(entry.thumbnail, f"A face in {entry.name}") if entry.thumbnail else None
    value = None if entry.probability is None else f"{entry.probability:.6f}"
    length = "–" if entry.seconds is None else duration(entry.seconds)
    return tag(
        "tr",
        tag("td", picture),
        tag("th", tag("a", entry.name, href=entry.page), scope="row", data_value=entry.name),
        tag("td", tag("span", entry.words, class_=f"word {CLASSES.get(entry.words, 'none')}"), data_value=value),
        tag("td", "–" if value is None else share(entry.probability), data_value=value, class_="number"),
        tag("td", entry.faces, data_value=entry.faces, class_="number minor"),
        tag("td", length, data_value=entry.seconds, class_="number minor"),
    )


def index_page(entries: Sequence[tuple[Entry, Html]], expected: int, purpose: str = "", noun: str = "video") -> str:
    """The index of the videos so far, each with its ``line_of``, of so many that are expected.

    ``purpose`` is a warning, if the weights were made for a demonstration; ``noun`` is what each is called.
    """
    ordered = sorted(entries, key=_suspicion)
    heads = [
        tag(
            "th",
            name.format(noun=noun),
            scope="col",
            class_=style,
            data_kind=kind,
            aria_sort=None if kind is None else "descending" if name == SORTED_BY else "none",
        )
        for name, kind, style in COLUMNS
    ]
    caption = tag("caption", f"The most suspicious {noun}s first.")
    whole = tag(
        "table",
        caption,
        tag("thead", tag("tr", *heads)),
        tag("tbody", *(line for _, line in ordered)),
        class_="videos",
    )
    return document(
        f"Scored {noun}s",
        tag("header", tag("h1", f"Scored {noun}s")),
        tag(
            "main",
            tag("p", purpose, class_="note") if purpose else None,
            tag("p", summary(entries, expected, noun)),
            whole if entries else None,
            tag("p", NOTE.format(noun=noun), class_="faint"),
        ),
        script=_SCRIPT,
    )


def _suspicion(each: tuple[Entry, Html]) -> tuple[bool, float, str]:
    entry, _ = each
    return entry.probability is None, -(entry.probability or 0), entry.name


NOTE = (
    "Faces only: audio is not checked, and a fully synthetic video may look real. The page of each {noun} explains its "
    "probability."
)


def summary(entries: Sequence[tuple[Entry, Html]], expected: int, noun: str) -> str:
    """How many videos there are, and how many of each verdict."""
    counts = Counter(entry.words for entry, _ in entries)
    words = " ".join(f"{capital(name)}: {thousands(counts[name])}." for name in VERDICTS if counts[name])
    done = len(entries)
    videos = f"1 {noun}" if expected == 1 else f"{thousands(expected)} {noun}s"
    so_far = videos if done == expected else f"{thousands(done)} of {videos} so far"
    return f"{so_far}. {words}".strip()
