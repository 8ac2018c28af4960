"""Human-readable sizes, durations, names and lists of names."""

from collections.abc import Iterable


def some(names: Iterable[str], shown: int = 4) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def in_units(size: float) -> str:
    """A size in bytes with a suitable unit: 512 B, 3.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def duration(seconds: float) -> str:
    """A duration in seconds with suitable units: 42 s, 3 min 5 s, 7 h 12 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def printable(text: str) -> str:
    """A text without what a terminal would take for a command: control characters, and bytes that are not UTF-8, as
    escape sequences. Line breaks and tabs stay."""
    return "".join(
        char if char.isprintable() or char in "\n\t\xa0" else char.encode("ascii", "backslashreplace").decode()
        for char in text
    ).translate(_CONTROLS)


def in_one_line(text: str) -> str:
    """The same, with line breaks and tabs as escape sequences, too: for names in a table."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


# ASCII needs no escaping, but these characters do.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), 127)}
