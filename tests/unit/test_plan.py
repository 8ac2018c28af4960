"""What is done as Snakemake tells how its jobs end."""

import logging
from types import SimpleNamespace

from snakemake.logging import LogEvent

from dfdc.system.jobs.attempts import ATTEMPTS, begin_attempts
from dfdc.system.jobs.plan import Plan


class Job:
    """A job of Snakemake, on which no other depends."""

    log = ("logs/align_tracks/part.log",)
    output = ("results/aligned/part.parquet",)


def test_a_finished_job_counts_as_finished_though_times_of_its_output_cannot_be_read_or_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = Job()
    workflow = SimpleNamespace(dag=SimpleNamespace(depending={job: []}))
    plan = Plan(workflow, logging.getLogger("plan"), tmp_path, lambda jobs: None)
    plan._jobs = {7: job}
    begin_attempts({"align_tracks/part": job.output}, {})
    assert (ATTEMPTS / "align_tracks/part").is_file()
    assert plan.filter(logging.makeLogRecord({"event": LogEvent.JOB_FINISHED, "job_id": 7}))
    assert not (ATTEMPTS / "align_tracks/part").exists()
