"""Logging of a rule: to its log file, and in short to the terminal."""

import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from dfdc.errors import UserError
from dfdc.files import full_disk, is_disk_full, write_text
from dfdc.runs import begin_job

Item = TypeVar("Item")

logger = logging.getLogger("dfdc")


# How often the job of each log file was begun and did not come to its end, for whatever reason. It lies beside what
# Snakemake knows of finished jobs, so that both go together.
ATTEMPTS = Path(".snakemake/unfinished")
# The counts above 0 as they were when a run of Snakemake began, for its jobs.
AT_START = "DFDC_UNFINISHED"


def unfinished_attempts() -> dict[str, int]:
    """For each job that ever failed, by the path of its log below ``logs`` (``train/re``): how often it did."""
    files = (path for path in ATTEMPTS.rglob("*") if path.is_file() and not path.name.endswith(".part"))
    return {str(path.relative_to(ATTEMPTS)): int(path.read_text()) for path in files}


def unfinished_at_start(beginning: bool) -> dict[str, int]:
    """The unfinished attempts as they were when this run of Snakemake began; ``beginning`` if this process begins it.

    Snakemake remembers them as they were then. A job that did not end well, but was tried again in the same run and
    then did, must count as it counted then, or it would run once more the next time.
    """
    if beginning:
        os.environ[AT_START] = json.dumps({job: count for job, count in unfinished_attempts().items() if count})
    return json.loads(os.environ[AT_START])


@contextlib.contextmanager
def rule_log(path: str | Path, name: str) -> Iterator[None]:
    """Send what happens in the block to the log file and to stderr, each line there headed by ``name``.

    The log file lies below the folder ``logs``. Until the block ends well, the job counts as unfinished; then it
    counts again as in ``unfinished_at_start``.

    A UserError ends the process with status 1 and its message alone, and so does a full disk; any other exception
    leaves its traceback in the log file and ends it with status 1 too. SIGTERM, and the end of the Snakemake that
    started the job, end it in good order, as Ctrl-C does, with status 130.
    """
    logging.raiseExceptions = False  # where a line of the log finds no room, the work goes on
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(path, mode="w", encoding="utf-8")
    to_file.setFormatter(logging.Formatter("{asctime} {levelname} {message}", style="{"))
    to_terminal = logging.StreamHandler()
    to_terminal.setFormatter(logging.Formatter(f"[{name}] {{message}}", style="{"))
    to_terminal.setLevel(logging.INFO)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.handlers = [to_file, to_terminal]
    logging.captureWarnings(True)
    signal.signal(signal.SIGTERM, _stop)
    job = Path(path).with_suffix("").relative_to("logs")
    before = int((ATTEMPTS / job).read_text()) if (ATTEMPTS / job).exists() else 0
    at_start = unfinished_at_start(False).get(str(job), 0) if AT_START in os.environ else before
    try:
        begin_job()
        write_text(ATTEMPTS / job, str(before + 1))
        yield
        write_text(ATTEMPTS / job, str(at_start))
    except KeyboardInterrupt:
        logger.error("stopped")
        sys.exit(130)
    except UserError as error:
        logger.error(str(error))
        sys.exit(1)
    except Exception as error:
        if is_disk_full(error):  # in what is not written at once, such as the records of a training
            logger.error(full_disk(getattr(error, "filename", None) or Path.cwd() / "…"))
            sys.exit(1)
        # The traceback is for the log; on the terminal one line and the place of the log are enough.
        to_terminal.setLevel(logging.CRITICAL)
        logger.exception("an error that the program did not expect")
        to_terminal.setLevel(logging.INFO)
        root.handlers = [to_terminal]
        logger.error(f"{type(error).__name__}: {error} (the traceback is in {path})")
        sys.exit(1)
    finally:
        with contextlib.suppress(OSError):  # a full disk, of which the terminal has heard
            to_file.close()


def _stop(*_: object) -> None:
    """End the process in good order: what is half written is removed, and workers end."""
    raise KeyboardInterrupt


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


def duration(seconds: float) -> str:
    """Seconds as a person would write them: 42 s, 3 min 5 s, 7 h 12 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
