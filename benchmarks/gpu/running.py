"""Runs each section in a process of its own, with a share of the time that is left.

A section that raises an exception, dies or takes too long has a row with the error; those after it go on, with what
time it left, with a GPU that no error has spoilt, and with the memory that it held.
"""

import contextlib
import importlib
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from gpu.bench import Bench
from gpu.rows import Row, append, read


@dataclass(frozen=True)
class Section:
    """A function of a module that yields rows; ``weight`` is its share of the time, relative to the others'."""

    title: str
    module: str
    function: str
    weight: float


# In this order: the proofs come first, and last what takes a time that nobody knows beforehand.
SECTIONS = (
    Section("machine", "machine", "machine", 20),
    Section("materials", "materials", "materials", 70),
    Section("detection", "detecting", "detecting", 70),
    Section("losses", "losses", "losses", 80),
    Section("resuming", "losses", "resuming", 60),
    Section("steps", "steps", "steps", 50),
    Section("loader", "loading", "loading", 80),
    Section("scoring", "scoring", "scoring", 40),
    Section("decoding", "decoding", "decoding", 15),
    Section("compiled", "steps", "compiled_steps", 100),
)


class Runner:
    """Runs sections until a moment."""

    def __init__(self, bench: Bench) -> None:
        """The clock starts now. All sections have their modules in memory already when they start."""
        self.bench, self.end = bench, time.monotonic() + bench.sizes.seconds
        self.context = get_context("forkserver")
        self.context.set_forkserver_preload([f"gpu.{section.module}" for section in SECTIONS])
        first = self.context.Process(target=os.getpid)  # which waits until they are
        first.start()
        first.join()

    def run(self, section: Section) -> list[Row]:
        """The rows of a section, with an error as the last one if it failed."""
        later = SECTIONS[SECTIONS.index(section) :]
        left = max(self.end - time.monotonic(), 0)
        limit = left * section.weight / sum(each.weight for each in later)
        rows, log = (self.bench.folder / f"{section.title}.{suffix}" for suffix in ("jsonl", "log"))
        process = self.context.Process(target=_work, args=(section, self.bench, rows, log))
        process.start()
        try:
            process.join(limit)
            late = process.is_alive()
        finally:
            # All that it has started, too, and what it left behind when it died.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()
        found = read(rows)
        if late:
            found.append(Row(section.title, None, "", "ERROR", f"not done after {limit:.0f} s, and stopped"))
        elif process.exitcode:
            found.append(Row(section.title, None, "", "ERROR", _last_words(process.exitcode, log)))
        return found


def _work(section: Section, bench: Bench, rows: Path, log: Path) -> None:
    """The main function of a section's process."""
    os.setsid()
    if bench.sizes.processes == 1:
        torch.set_num_threads(1)  # on so little, several wait for each other on a busy machine
    with log.open("w", encoding="utf-8") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
        try:
            for row in getattr(importlib.import_module(f"gpu.{section.module}"), section.function)(bench):
                append(rows, row)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)  # not waiting for threads and processes of what failed


def _last_words(code: int, log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
    return f"{how}: {' '.join(lines[-1:])[:500]}"
