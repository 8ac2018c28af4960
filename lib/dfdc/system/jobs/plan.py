"""What a run does when Snakemake has made its plan, and when a job has finished or failed.

Snakemake calls ``onstart`` neither for a dry run nor for a workflow that another one imports as a module. It announces
these events to its loggers, always: so this module listens there.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from dfdc.system.errors import UserError
from dfdc.system.files import full_disk, is_disk_full
from dfdc.system.jobs.attempts import begin_attempts, forget_attempts, job_of, unfinished_attempts
from dfdc.system.jobs.retries import forget_try, judge
from dfdc.system.words import printable, some

RECORDS = Path(".snakemake/metadata")
SECOND = 10**9  # nanoseconds
# A planned job: the name of its rule in this workflow, and its wildcards.
Job = tuple[str, Mapping[str, str]]


class Plan(logging.Filter):
    """Listens to Snakemake's log in the process of a run."""

    unfinished: dict[str, int]
    """The unfinished attempts of each job at the start of the run, see ``unfinished_attempts``."""

    def __init__(
        self,
        workflow: Any,
        logger: logging.Logger,
        folder: Path,
        check: Callable[[Sequence[Job]], None],
    ) -> None:
        """Start to listen.

        ``folder`` is that of the Snakefile: another workflow that imports it as a module may have more rules, of which
        this class takes no notice. ``check`` is called with the planned jobs, and may raise UserError.
        """
        super().__init__()
        self.unfinished = unfinished_attempts(beginning=True)
        self._workflow, self._logger, self._folder, self._check = workflow, logger, folder, check
        self._jobs: dict[int, Any] = {}
        self._announced = self._is_full = False
        for other in [other for other in logger.filters if isinstance(other, Plan)]:  # of an earlier run in the process
            logger.removeFilter(other)
        logger.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Act on an event, and let the record pass, unless it repeats that the disk is full."""
        event = getattr(record, "event", None)
        planned = event == LogEvent.RUN_INFO or str(record.msg).startswith("Nothing to be done")
        if planned and not self._announced:
            self._announced = True
            try:
                self._begin()
            except UserError as error:
                self._logger.error(printable(str(error)))
                sys.exit(1)
        elif event == LogEvent.JOB_FINISHED and record.job_id in self._jobs:
            job = self._jobs[record.job_id]
            with contextlib.suppress(OSError):  # times of files of another user cannot be set
                self._keep_order(job)
            with contextlib.suppress(OSError, UserError):  # a full disk: the record is only not needed any more
                name = _name(job)
                forget_try(name)
                forget_attempts([name])
        elif event == LogEvent.ERROR and _is_for_want_of_room(sys.exc_info()[1]):
            # Snakemake's own words do not say which disk, and come twice, when it fails to clean up after the first.
            record.msg = full_disk(RECORDS, "Snakemake's records")
            is_repeated, self._is_full = self._is_full, True
            return not is_repeated
        elif event == LogEvent.GROUP_ERROR:
            self._failed([about["jobid"] for about in record.job_error_info])
        elif event == LogEvent.JOB_ERROR and not record.indent:  # indented: a member of a group, see above
            self._failed([record.jobid])
        return True

    def _begin(self) -> None:
        """Check what the plan needs and, unless nothing is to run, record an attempt of each job."""
        if self._workflow.touch:
            return
        self._check_records()
        jobs = [job for job in self._workflow.dag.needrun_jobs() if self._is_own(job.rule)]
        self._check([(Path(job.rule.script).stem, dict(job.wildcards.items())) for job in jobs])
        if not self._workflow.dryrun:
            self._jobs = {job.jobid: job for job in jobs}
            begin_attempts({_name(job): job.output for job in jobs}, self.unfinished)

    def _keep_order(self, job: Any) -> None:
        """Make a job's output newer than what was made of its earlier output, which it is not if the clock went back.

        Snakemake finds by times what is to be made anew, if this run ends before.
        """
        made_of_it = [path for other in self._workflow.dag.depending[job] for path in other.output]
        newest = max((Path(path).stat().st_mtime_ns for path in made_of_it if Path(path).exists()), default=0)
        for path in map(Path, job.output):
            if path.stat().st_mtime_ns <= newest:
                os.utime(path, ns=(newest + SECOND, newest + SECOND))

    def _check_records(self) -> None:
        """Raise UserError if there are results without a record of the settings, data and code they were made with.

        Snakemake takes them for up to date, whatever has changed since, and only remarks on it.
        """
        dag = self._workflow.dag
        if "PARAMS" not in {trigger.name for trigger in self._workflow.rerun_triggers}:  # only times are to count
            return
        kept = [job for job in dag.jobs if self._is_own(job.rule) and not dag.needrun(job)]
        lost = sorted(_name(job) for job in kept if not self._workflow.persistence.has_metadata(job))
        if lost:
            raise UserError(
                f"It is not known how results in {Path.cwd()} were made, and so not whether they are up to date: "
                f"records of Snakemake ({RECORDS}) are missing or damaged, those of {some(lost)}. Delete these "
                "results, or make everything anew (--forceall). If you are certain that settings, data and code are "
                "as they were then, record that: the same command with --forceall --touch."
            )

    def _failed(self, numbers: Sequence[int]) -> None:
        """Decide whether a failed job, or all jobs of a failed group, are tried again, before Snakemake does.

        Snakemake tries again while the number of the attempt, from 1, is not above that of the retries.
        """
        jobs = [self._jobs[number] for number in numbers if number in self._jobs]
        if not jobs:
            return
        unit = self._workflow.dag.get_job_group(jobs[0]) or jobs[0]
        verdict = judge([(_name(job), job.resources.get("runtime")) for job in jobs], first=unit.attempt == 1)
        if not verdict.again and unit.restart_times >= unit.attempt:
            self._logger.info("The job is not retried: it would fail in the same way.")
            unit.attempt = unit.restart_times + 1
        elif verdict.progress:
            unit.attempt = 1

    def _is_own(self, rule: Any) -> bool:
        """Whether a rule is one of this workflow's, and runs something."""
        return bool(rule.script and rule.log) and Path(str(rule.snakefile)).is_relative_to(self._folder)


def _is_for_want_of_room(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, means that the disk is full."""
    while error is not None and not is_disk_full(error):
        error = error.__cause__ or error.__context__
    return error is not None


def _name(job: Any) -> str:
    return job_of(job.log[0])
