"""Logging of a rule to its log file and to the terminal."""

import contextlib
import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from dfdc.system.errors import Interrupted, OutOfMemory, UserError
from dfdc.system.files import full_disk, is_disk_full
from dfdc.system.jobs.attempts import finish_attempt, job_of
from dfdc.system.jobs.retries import End, begin_try, end_try
from dfdc.system.jobs.runs import begin_job
from dfdc.system.jobs.terminal import is_brief
from dfdc.system.words import printable

logger = logging.getLogger("dfdc")


@contextlib.contextmanager
def rule_log(path: str | Path, name: str) -> Iterator[None]:
    """Log the block to the log file and to stderr (in brief runs only warnings), each line prefixed with ``name``.

    The log file is below the folder ``logs``. Unless the block succeeds, the job counts as unfinished (``attempts``);
    how it ended is noted for its next attempt (``retries``).

    A UserError or a full disk ends the process with status 1 and only a message. Any other exception also ends it with
    status 1, and its traceback is written to the log file. SIGTERM, and the end of the Snakemake process that started
    the job, shut it down like Ctrl-C, with status 130.
    """
    logging.raiseExceptions = False  # continue if the log cannot be written because the disk is full
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(path, mode="w", encoding="utf-8", errors="backslashreplace")
    to_file.setFormatter(logging.Formatter("{asctime} {levelname} {message}", style="{"))
    to_terminal = logging.StreamHandler()
    to_terminal.setFormatter(_Printable(f"[{name}] {{message}}", style="{"))
    to_terminal.setLevel(logging.WARNING if is_brief() else logging.INFO)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.handlers = [to_file, to_terminal]
    logging.captureWarnings(True)
    signal.signal(signal.SIGTERM, _stop)
    job = job_of(path)
    begin_try(job)
    end = End.ERROR
    try:
        begin_job()
        yield
        finish_attempt(job)
        end = End.FINISHED
    except KeyboardInterrupt:
        end = End.STOPPED
        logger.error("stopped")
        sys.exit(130)
    except UserError as error:
        end = _end(error)
        logger.error(str(error))
        sys.exit(1)
    except Exception as error:
        if is_disk_full(error):  # in files that are not written atomically, such as the records of a training
            end = End.MISTAKE
            logger.error(full_disk(getattr(error, "filename", None) or Path.cwd() / "…"))
            sys.exit(1)
        if isinstance(error, MemoryError):
            end = End.OUT_OF_MEMORY
        # The traceback goes to the log file only; the terminal shows one line with the path of the log.
        to_terminal.setLevel(logging.CRITICAL)
        logger.exception("unexpected error")
        to_terminal.setLevel(logging.INFO)
        root.handlers = [to_terminal]
        logger.error(f"{type(error).__name__}: {error} (the traceback is in {path})")
        sys.exit(1)
    finally:
        end_try(job, end)
        with contextlib.suppress(OSError):  # a full disk, already reported on the terminal
            to_file.close()


class _Printable(logging.Formatter):
    """Keeps what is in names of files from being taken for commands by the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _end(error: UserError) -> End:
    """How a job ended that raised this error, for its next attempt."""
    if isinstance(error, OutOfMemory):
        return End.OUT_OF_MEMORY
    return End.STOPPED if isinstance(error, Interrupted) else End.MISTAKE


def _stop(*_: object) -> None:
    """Shut the process down cleanly: partial files are removed, and workers end."""
    raise KeyboardInterrupt
