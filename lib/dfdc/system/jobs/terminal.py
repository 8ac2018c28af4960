"""What a brief run (``DFDC_BRIEF=1``) says on the terminal: the progress of its stages, warnings and errors.

All else is in Snakemake's log and in those of the jobs, as ever.
"""

import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from snakemake_interface_logger_plugins.common import LogEvent

from dfdc.system.words import duration, some

BRIEF = "DFDC_BRIEF"  # environment variable, of a run and of its jobs
PAUSE = 30.0  # seconds without a line, after which one says what runs
# How long a job takes, in seconds, in the demo on two cores, by rule: for the time left, only their ratios count.
SECONDS = {
    "make_demo_data": 54,
    "detect_faces": 3.5,
    "detect_test_faces": 3,
    "extract_clips": 2,
    "recompress_clips": 8.5,
    "train": 85,
    "score": 2,
    "score_validation_clips": 10,
    "draw_sample_figures": 4,
}
OTHERS = 1.0
KNOWN = 0.1  # of the work


def is_brief() -> bool:
    """Whether this run, or the run of this job, is to be brief."""
    return bool(os.environ.get(BRIEF))


def be_brief(log: logging.Logger) -> None:
    """Let Snakemake's logger write only warnings, errors and the progress of stages to the terminal."""
    for handler in log.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(_is_shown)
    log.addHandler(Progress(sys.stderr))


def _is_shown(record: logging.LogRecord) -> bool:
    """Whether a record is more than progress; that there is nothing to do is the result of a run."""
    return record.levelno >= logging.WARNING or str(record.msg).startswith("Nothing to be done")


class Progress(logging.Handler):
    """Writes a line when a stage is done, with the time left, and one now and then about jobs that take long."""

    def __init__(self, stream: TextIO, pause: float = PAUSE) -> None:
        """``pause``: seconds without a line after which one says what runs."""
        super().__init__()
        self._stream, self._pause = stream, pause
        self._totals: dict[str, int] = {}
        self._done: Counter[str] = Counter()
        self._jobs: dict[int, tuple[str, str]] = {}
        self._running: dict[int, None] = {}  # in the order of their beginning
        self._begin = self._last = self._end = time.monotonic()
        self._is_known = False  # whether so much is done that the end can be estimated
        self._closed = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Take notice of an event of Snakemake."""
        try:
            self._notice(record)
        except Exception:  # another version of Snakemake: the progress is not shown, and the run goes on
            self.handleError(record)

    def close(self) -> None:
        """Say no more."""
        self._closed.set()
        super().close()

    def _notice(self, record: logging.LogRecord) -> None:
        match getattr(record, "event", None):
            case LogEvent.RUN_INFO if not self._totals:
                self._start(record.stats)
            case LogEvent.JOB_INFO:
                values = " ".join(map(str, (record.wildcards or {}).values()))
                self._jobs[record.jobid] = record.rule_name, f"{record.rule_name} {values}".strip()
            case LogEvent.JOB_STARTED:
                self._running |= dict.fromkeys([record.jobs] if isinstance(record.jobs, int) else record.jobs)
            case LogEvent.JOB_FINISHED:
                self._finished(record.job_id)
            case LogEvent.JOB_ERROR:
                self._running.pop(record.jobid, None)

    def _start(self, stats: Mapping[str, Any]) -> None:
        self._totals = {rule: count for rule, count in stats.items() if rule not in ("all", "total")}
        self._begin = self._last = time.monotonic()
        here = Path.cwd()
        self._write(
            f"{sum(self._totals.values())} jobs. Their logs are in {here / 'logs'}, Snakemake's in "
            f"{here / '.snakemake/log'}."
        )
        threading.Thread(target=self._watch, daemon=True).start()

    def _finished(self, number: int) -> None:
        self._running.pop(number, None)
        rule = self._jobs.get(number, ("", ""))[0]
        if rule not in self._totals:
            return
        self._done[rule] += 1
        self._estimate()
        done, total = self._done[rule], self._totals[rule]
        if done == total or time.monotonic() - self._last >= self._pause:
            many = f" ({done} of {total})" if total > 1 else ""
            self._say(f"{rule} done{many}")

    def _estimate(self) -> None:
        """Estimate when the run will end: what is left takes as long as it should, measured by what is done."""
        done, total = (
            sum(SECONDS.get(rule, OTHERS) * count for rule, count in counts.items())
            for counts in (self._done, self._totals)
        )
        now = time.monotonic()
        self._end = now + (now - self._begin) * (total - done) / done
        self._is_known = done >= KNOWN * total

    def _watch(self) -> None:
        while not self._closed.wait(min(self._pause, 1.0)):
            with self.lock:
                if time.monotonic() - self._last >= self._pause and self._running:
                    self._say(
                        "running: " + some(self._jobs[number][1] for number in self._running if number in self._jobs)
                    )

    def _say(self, text: str) -> None:
        now = time.monotonic()
        more = ""
        if self._is_known and self._done != self._totals:
            left = self._end - now
            more = f", about {round(left / 60)} min left" if left >= 60 else ", less than a minute left"
        self._write(f"{duration(now - self._begin):>12}  {text}{more}")

    def _write(self, line: str) -> None:
        self._last = time.monotonic()
        print(line, file=self._stream, flush=True)
