"""Jobs on a cluster whose controller does not answer."""

import asyncio
import contextlib
import logging
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as plugin
from snakemake_executor_plugin_slurm import job_status_query

from dfdc.system.jobs.records.states import keep_jobs_of_unknown_state

JOBS = [SimpleNamespace(external_jobid=number, aux={}) for number in ("7", "8")]
STATES = {"nothing": "exit 1", "one": "echo '7|COMPLETED'; echo '8|RUNNING'"}


class Executor(SimpleNamespace):
    """What the plugin's function that asks for states needs of its object."""

    check_active_jobs = plugin.Executor.check_active_jobs
    logger = logging.getLogger("slurm")
    run_uuid = "uuid"
    workflow = SimpleNamespace(
        executor_settings=SimpleNamespace(
            init_seconds_before_status_checks=1, status_attempts=2, keep_successful_logs=True
        )
    )
    status_rate_limiter = contextlib.nullcontext()
    next_seconds_between_status_checks = 1

    def __init__(self):
        measured = {"failures": 0, "calls": 0, "total_seconds": 0, "min_seconds": None, "max_seconds": 0}
        measured["cycle_rows"] = []
        super().__init__(**{f"_status_query_{name}": value for name, value in measured.items()})
        self.ended = []

    def get_status_command(self):
        return "squeue"

    def report_job_success(self, job):
        self.ended.append(job)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Gives a function: what the program that is asked answers, and then does."""

    def answers(what):
        for name in ("squeue", "sacct", "scontrol"):
            (tmp_path / name).write_text(f"#!/bin/sh\n{STATES[what]}\n")
            (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    # As the plugin has it, whatever tests have run in this process before.
    monkeypatch.setattr(plugin, "query_job_status", job_status_query.query_job_status)
    keep_jobs_of_unknown_state.cache_clear()
    yield answers
    keep_jobs_of_unknown_state.cache_clear()


def active(executor, jobs):
    async def ask():
        return [job async for job in executor.check_active_jobs(jobs)]

    return asyncio.run(ask())


def test_no_job_is_forgotten_while_there_is_no_answer(slurm):
    slurm("nothing")
    assert active(Executor(), JOBS) == []  # as it is, which a later version of the plugin may mend
    keep_jobs_of_unknown_state()
    executor = Executor()
    for _ in range(2):
        assert active(executor, JOBS) == JOBS
    slurm("one")
    assert active(executor, JOBS) == JOBS[1:]
    assert executor.ended == JOBS[:1]
