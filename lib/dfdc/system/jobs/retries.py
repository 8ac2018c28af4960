"""What a failed job requests if Snakemake retries it (``--retries``): more of what it lacked, or no further attempt.

A job notes when it begins and how it ends (``begin_try``, ``end_try``). When it has failed, the run concludes from
these notes what it lacked (``judge``), and the next attempt requests more of that (``factors``). A job that is killed
leaves no note of its end, which is telling, too.
"""

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from dfdc.system.errors import UserError
from dfdc.system.files import write_text

# A file for each job.
TRIES = Path(".snakemake/tries")
# SIGTERM may come this many seconds before the time limit, and the run may notice the end of a job as much later.
MARGIN = 360


class End(StrEnum):
    """How an attempt ended, as the job itself noted it."""

    MISTAKE = "mistake"
    """A fault that another attempt would meet again."""
    STOPPED = "stopped"
    """A signal: the time limit, a preemption or a cancellation."""
    OUT_OF_MEMORY = "out of memory"
    ERROR = "error"
    """An unexpected exception."""
    FINISHED = "finished"


class Factors(NamedTuple):
    """What the memory and the time of a job's first attempt are multiplied by."""

    memory: int
    time: int


@dataclass(frozen=True)
class Try:
    """The notes on a job: the factors of its last attempt, and what the attempt itself noted."""

    memory: int = 1
    time: int = 1
    begun: float | None = None
    """When the attempt began, in seconds since 1970; None if it did not."""
    checkpoint: int = 0
    """The time of the newest checkpoint then, in ns; 0 if there was none."""
    end: End | None = None
    """How it ended; None if it still runs or was killed."""


@dataclass(frozen=True)
class Verdict:
    """What is to become of failed jobs."""

    again: bool
    """Whether another attempt may succeed."""
    progress: bool
    """Whether the attempt brought a training forward, and so does not count."""


def begin_try(job: str) -> None:
    """Note that an attempt of a job begins. A note that cannot be written, on a full disk, is left out."""
    _note(job, replace(_read(job), begun=time.time(), checkpoint=_newest_checkpoint(job), end=None))


def end_try(job: str, end: End) -> None:
    """Note how an attempt of a job ended. A note that cannot be written, on a full disk, is left out."""
    _note(job, replace(_read(job), end=end))


def factors(job: str, attempt: int) -> Factors:
    """The factors of an attempt, from 1: what ``judge`` concluded, or the attempt's number if there are no notes."""
    if attempt == 1:
        return Factors(1, 1)
    if not _file(job).exists():
        return Factors(attempt, attempt)
    notes = _read(job)
    return Factors(notes.memory, notes.time)


def judge(jobs: Sequence[tuple[str, float | None]], first: bool) -> Verdict:
    """Conclude from the notes of jobs that failed together (one job, or a group) what they lacked, for ``factors``.

    ``jobs`` are names and time limits in minutes; ``first``: whether it was their first attempt in this run.
    """
    notes = {job: _read(job) for job, _ in jobs}
    if first:
        notes = {job: replace(note, memory=1, time=1) for job, note in notes.items()}
    begun = {job for job, note in notes.items() if note.begun is not None}
    progress = False
    for job, limit in jobs:
        note = notes[job]
        if note.end is not End.FINISHED and (job in begun or not begun):
            advanced = job in begun and _newest_checkpoint(job) > note.checkpoint
            progress = progress or advanced
            lacks = _lacks(note, limit)
            # A training that advances goes on from its checkpoint, in no more time than before.
            more_time = lacks.time and not advanced
            note = replace(note, memory=note.memory + lacks.memory, time=note.time + more_time)
        # What the attempt noted counts once.
        _note(job, replace(note, begun=None, end=None))
    return Verdict(again=all(note.end is not End.MISTAKE for note in notes.values()), progress=progress)


def forget_try(job: str) -> None:
    """Forget the notes on a job, which has succeeded."""
    _file(job).unlink(missing_ok=True)


def _lacks(note: Try, limit: float | None) -> Factors:
    """Whether an attempt lacked memory, time, or, if that is unknown, both; 1 or 0 for each."""
    if note.begun is None:  # its submission was refused, or it died before its first line
        return Factors(1, 1)
    late = limit is None or time.time() - note.begun > limit * 60 - MARGIN
    match note.end:
        case End.STOPPED:
            return Factors(0, int(late))
        case End.OUT_OF_MEMORY:
            return Factors(1, 0)
        case None:  # killed
            return Factors(1, int(late))
        case _:
            return Factors(1, 1)


def _newest_checkpoint(job: str) -> int:
    """The time in ns of the newest checkpoint of a training; 0 if there is none, or if the job is no training."""
    rule, _, model = job.partition("/")
    times = [0]
    for path in Path("work", model).glob("*/checkpoint_*.safetensors") if rule == "train" else ():
        with contextlib.suppress(FileNotFoundError):  # superseded meanwhile
            times.append(path.stat().st_mtime_ns)
    return max(times)


def _file(job: str) -> Path:
    return TRIES / job


def _read(job: str) -> Try:
    try:
        content = json.loads(_file(job).read_text(encoding="utf-8"))
        return Try(**{**content, "end": content["end"] and End(content["end"])})
    except (OSError, ValueError, TypeError, KeyError):  # none, or damaged
        return Try()


def _note(job: str, notes: Try) -> None:
    with contextlib.suppress(OSError, UserError):
        write_text(_file(job), json.dumps(asdict(notes)))
