"""Logging of a rule: to its log file, and in short to the terminal."""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from dfdc.system.errors import UserError
from dfdc.system.files import full_disk, is_disk_full, write_text
from dfdc.system.jobs.attempts import AT_START, ATTEMPTS, unfinished_at_start
from dfdc.system.jobs.runs import begin_job

logger = logging.getLogger("dfdc")


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
