"""Names of files for pages: safe on every system, and different for different videos."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable

LONGEST = 80  # characters
RESERVED = ("index",)


def page_names(names: Iterable[str]) -> dict[str, str]:
    """A name without suffix for the page of each video.

    It is that of the video, with - for all but ASCII letters, digits, dots, hyphens and underscores. A hash of the
    original name is added if two videos would have the same, which upper and lower case do not tell apart.
    """
    names = list(names)
    plain = {name: _plain(name) for name in names}
    counts = Counter(short.casefold() for short in plain.values())
    found: dict[str, str] = {}
    taken = {short for short, count in counts.items() if count == 1} | set(RESERVED)
    for name in names:
        short = plain[name]
        if counts[short.casefold()] > 1 or short.casefold() in RESERVED:
            digest = hashlib.sha256(os.fsencode(name)).hexdigest()
            # A longer one if somebody has named a video after a hash.
            lengths = range(8, len(digest) + 1, 8)
            short = next(each for n in lengths if (each := f"{short}-{digest[:n]}").casefold() not in taken)
            taken.add(short.casefold())
        found[name] = short
    return found


def _plain(name: str) -> str:
    short = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip(".-")
    return short[:LONGEST] or "video"
