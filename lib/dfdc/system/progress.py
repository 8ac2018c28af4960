"""How far a job has come, in the log."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from dfdc.system.words import duration

logger = logging.getLogger("dfdc")
Item = TypeVar("Item")


def progress(items: Iterable[Item], total: int, unit: str, interval: float = 10.0) -> Iterator[Item]:
    """Give the items on, and log every ``interval`` seconds how many there were, how fast, and the time left."""
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= interval or done == total:
            last = now
            rate = done / max(now - start, 1e-9)
            logger.info(f"{done}/{total} {unit}, {rate:.1f}/s, {duration((total - done) / rate)} left")
