"""Progress of a job in the log."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from dfdc.system.words import duration

logger = logging.getLogger("dfdc")
Item = TypeVar("Item")


def progress(items: Iterable[Item], total: int, unit: str, interval: float = 10.0) -> Iterator[Item]:
    """Yield the items, and log their count, rate and remaining time every ``interval`` seconds."""
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= interval or done == total:
            last = now
            rate = done / max(now - start, 1e-9)
            logger.info(f"{done}/{total} {unit}, {rate:.1f}/s, {duration((total - done) / rate)} left")
