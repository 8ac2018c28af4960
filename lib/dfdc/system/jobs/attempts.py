"""Attempts of jobs, recorded so that a job that did not finish runs again.

Snakemake deletes the output of a failed job, but records its new parameters as if it had succeeded. If results derived
from the old output still exist, it would consider them up to date and never run the job again. So the number of a job's
unfinished attempts is one of its parameters.

The run records an attempt of every job of its plan before the first job starts (``begin_attempts``), because a job may
end before its first line of Python: its submission is refused, an import fails, it is killed. The job records that it
finished (``finish_attempt``), and when Snakemake accepts that, the run forgets the attempt (``forget_attempts``).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dfdc.system.files import write_text

# A file for each job, beside Snakemake's records of finished jobs, so that both are deleted together.
ATTEMPTS = Path(".snakemake/unfinished")


@dataclass(frozen=True)
class Attempts:
    """The attempts of a job: how many before the last one did not finish, and the last one, if it is not forgotten."""

    unfinished: int = 0
    recorded: bool = False
    finished: bool = False
    outputs: Mapping[str, Sequence[int] | None] = field(default_factory=dict)
    """The job's output files as they were before the last attempt: modification time in ns and size, or None."""

    def total(self) -> int:
        """The number of unfinished attempts, including the last one.

        The last one counts unless it finished and its output is still there, or it never started: then all output
        files exist unchanged, because Snakemake deletes them when a job starts.
        """
        now = {path: _state(path) for path in self.outputs}
        exist = None not in now.values()
        unchanged = bool(now) and now == {path: state and tuple(state) for path, state in self.outputs.items()}
        return self.unfinished + (self.recorded and not (exist and (self.finished or unchanged)))


def job_of(log: str | Path) -> str:
    """The name of a job: the path of its log below ``logs``, without suffix (``train/re``)."""
    return str(Path(log).with_suffix("").relative_to("logs"))


def unfinished_attempts(beginning: bool) -> dict[str, int]:
    """The number of unfinished attempts of each job, if there are any, by the job's name.

    ``beginning``: whether this process is the run itself. The jobs of a run see the numbers at the run's start,
    so that a job that fails and then succeeds in the same run is recorded with that number, and does not run again.
    """
    counts = {job: attempts.total() if beginning else attempts.unfinished for job, attempts in _all().items()}
    return {job: count for job, count in counts.items() if count}


def begin_attempts(outputs: Mapping[str, Iterable[str]], unfinished: Mapping[str, int]) -> None:
    """Record an attempt of each job in ``outputs`` (its output files); ``unfinished`` as from ``unfinished_attempts``.

    Earlier attempts that do not count (see ``Attempts.total``) are forgotten. Raises UserError if the disk is full.
    """
    forget_attempts(job for job, attempts in _all().items() if attempts.total() == attempts.unfinished)
    for job, paths in outputs.items():
        before = {str(path): _state(path) for path in paths}
        _write(job, Attempts(unfinished.get(job, 0), recorded=True, outputs=before))


def finish_attempt(job: str) -> None:
    """Record that a job finished, if its attempt is recorded."""
    attempts = _read(ATTEMPTS / job)
    if attempts.recorded:
        _write(job, replace(attempts, finished=True))


def forget_attempts(jobs: Iterable[str]) -> None:
    """Forget the last attempts of jobs, which finished; their unfinished attempts before it stay counted."""
    for job in jobs:
        if before := _read(ATTEMPTS / job).unfinished:
            _write(job, Attempts(before))
        else:
            (ATTEMPTS / job).unlink(missing_ok=True)


def _state(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _all() -> dict[str, Attempts]:
    files = (path for path in ATTEMPTS.rglob("*") if path.is_file() and not path.name.endswith(".part"))
    return {str(path.relative_to(ATTEMPTS)): _read(path) for path in files}


def _read(path: Path) -> Attempts:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        # Earlier versions wrote only a number.
        attempts = Attempts(**content) if isinstance(content, dict) else Attempts(int(content))
        attempts.total()
    except FileNotFoundError:
        return Attempts()
    except (ValueError, TypeError, AttributeError, RecursionError):  # damaged: whatever happened, the job runs again
        return Attempts(recorded=True)
    return attempts


def _write(job: str, attempts: Attempts) -> None:
    write_text(ATTEMPTS / job, json.dumps(asdict(attempts)))
