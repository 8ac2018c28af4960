"""What a brief run says."""

import io
import logging
import re
import sys
import time

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from dfdc.system.jobs.log import rule_log
from dfdc.system.jobs.terminal import BRIEF, Progress, be_brief, is_brief


@pytest.fixture
def log(monkeypatch):
    """A logger like Snakemake's, and what it writes to the terminal."""
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    log = logging.Logger("snakemake.test")
    log.addHandler(logging.StreamHandler(terminal))
    be_brief(log)
    yield log, terminal
    for handler in log.handlers:
        handler.close()


def tell(log, event, **about):
    log.info(None, extra={"event": event, **about})


def job(log, number, rule, **wildcards):
    tell(log, LogEvent.JOB_INFO, jobid=number, rule_name=rule, wildcards=wildcards)
    tell(log, LogEvent.JOB_STARTED, jobs=[number])


def test_a_line_for_each_stage(log):
    log, terminal = log
    log.info("Building DAG of jobs...")
    tell(log, LogEvent.RUN_INFO, stats={"detect_faces": 2, "train": 1, "all": 1, "total": 4})
    for number in (1, 2):
        job(log, number, "detect_faces", part=f"part_{number}")
    tell(log, LogEvent.JOB_FINISHED, job_id=1)
    log.warning("A warning.")
    tell(log, LogEvent.JOB_FINISHED, job_id=2)
    job(log, 3, "train", model="re")
    tell(log, LogEvent.JOB_FINISHED, job_id=3)
    job(log, 4, "all")
    tell(log, LogEvent.JOB_FINISHED, job_id=4)
    tell(log, LogEvent.RUN_INFO, stats={"total": 9})  # of a second announcement
    log.error("An error.")
    log.info("Nothing to be done (all requested files are present and up to date).")
    first, *lines = terminal.getvalue().splitlines()
    assert re.fullmatch(r"3 jobs\. Their logs are in /.*/logs, Snakemake's in /.*/\.snakemake/log\.", first)
    assert [re.sub(r"^ +\d+ s  ", "", line) for line in lines] == [
        "A warning.",
        "detect_faces done (2 of 2)",
        "train done",
        "An error.",
        "Nothing to be done (all requested files are present and up to date).",
    ]


def test_the_time_left_is_that_of_jobs_that_take_as_long(log, monkeypatch):
    log, terminal = log
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    tell(log, LogEvent.RUN_INFO, stats={"train": 4, "total": 4})
    for number in range(4):
        job(log, number, "train", model=f"m{number}")
        now += 100
        tell(log, LogEvent.JOB_FINISHED, job_id=number)
    _, *lines = terminal.getvalue().splitlines()
    assert [line.strip() for line in lines] == [
        "1 min 40 s  train done (1 of 4), about 5 min left",
        "3 min 20 s  train done (2 of 4), about 3 min left",
        "5 min 0 s  train done (3 of 4), about 2 min left",
        "6 min 40 s  train done (4 of 4)",
    ]


def test_what_takes_long_is_named():
    terminal = io.StringIO()
    log = logging.Logger("snakemake.test")
    log.addHandler(Progress(terminal, pause=0.1))
    tell(log, LogEvent.RUN_INFO, stats={"train": 2, "total": 2})
    job(log, 1, "train", model="re")
    job(log, 2, "train", model="seq")
    tell(log, LogEvent.JOB_ERROR, jobid=2)
    before, end = len(terminal.getvalue()), time.monotonic() + 600
    # On a busy machine both may have been named before.
    while not terminal.getvalue()[before:].endswith("  running: train re\n") and time.monotonic() < end:
        time.sleep(0.02)
    log.handlers[0].close()
    assert terminal.getvalue()[before:].endswith("  running: train re\n")


def test_jobs_say_only_warnings(job_folder, monkeypatch, capsys):
    monkeypatch.setenv(BRIEF, "1")
    assert is_brief()
    with rule_log("logs/train/re.log", "train re"):
        logging.getLogger("dfdc").info("a step")
        logging.getLogger("dfdc").warning("a warning")
    assert capsys.readouterr().err == "[train re] a warning\n"
    assert "a step" in (job_folder / "logs/train/re.log").read_text()
