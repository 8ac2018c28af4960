"""Attempts of jobs: what counts as unfinished, seen by the next run."""

import os
from pathlib import Path

import pytest

from dfdc.system.errors import UserError
from dfdc.system.jobs.attempts import (
    ATTEMPTS,
    begin_attempts,
    finish_attempt,
    forget_attempts,
    job_of,
    unfinished_attempts,
)

JOB, OUTPUT = "train/re", Path("weights")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def begin():
    """What the start of a run does, for a job with old output."""
    before = unfinished_attempts(beginning=True)
    begin_attempts({JOB: [str(OUTPUT)]}, before)
    return before.get(JOB, 0)


def now():
    return unfinished_attempts(beginning=True).get(JOB, 0)


def test_the_name_of_a_job():
    assert job_of("logs/train/re.log") == JOB


def test_a_job_that_never_started_does_not_count():
    OUTPUT.write_text("old")
    begin()
    assert now() == 0


def test_a_job_that_died_before_its_first_line_counts():
    OUTPUT.write_text("old")
    begin()
    OUTPUT.unlink()  # by Snakemake
    assert now() == 1
    assert begin() == 1
    assert unfinished_attempts(beginning=False) == {JOB: 1}  # what the jobs of this run see
    assert now() == 2


def test_a_job_that_was_interrupted_counts_even_if_its_output_is_there():
    OUTPUT.write_text("old")
    begin()
    OUTPUT.write_text("half")  # kept with --keep-incomplete
    os.utime(OUTPUT, (1, 1))
    assert now() == 1


def test_a_job_that_finished_does_not_count():
    OUTPUT.write_text("old")
    begin()
    OUTPUT.write_text("anew")
    finish_attempt(JOB)
    assert now() == 0
    forget_attempts([JOB])
    assert not (ATTEMPTS / JOB).exists()
    OUTPUT.unlink()  # the user makes room
    assert now() == 0


def test_a_job_that_finished_and_whose_output_snakemake_deleted_counts():
    """It did not find all outputs, on a slow file system, and took the job for failed."""
    begin()
    OUTPUT.write_text("anew")
    finish_attempt(JOB)
    OUTPUT.unlink()
    assert now() == 1


def test_the_number_of_earlier_attempts_stays_when_a_job_finished():
    """It is recorded with that number, and would run again with another."""
    begin()
    assert begin() == 1
    OUTPUT.write_text("anew")
    finish_attempt(JOB)
    assert now() == 1
    forget_attempts([JOB])
    assert now() == 1


def test_what_was_left_of_a_killed_run_is_forgotten():
    begin()
    OUTPUT.write_text("anew")
    finish_attempt(JOB)  # and then Snakemake was killed
    begin_attempts({}, {})
    OUTPUT.unlink()
    assert now() == 0


def test_a_job_without_a_run_records_nothing():
    finish_attempt(JOB)
    assert not (ATTEMPTS / JOB).exists()


def test_a_damaged_record_counts():
    (ATTEMPTS / JOB).parent.mkdir(parents=True)
    for content in (
        "{",
        "",
        "null",
        "[]",
        "[1]",
        '{"other": 1}',
        '{"unfinished": "many"}',
        '{"outputs": 3}',
        "[" * 9999,
    ):
        (ATTEMPTS / JOB).write_text(content)
        assert now() == 1


def test_a_record_of_earlier_versions():
    (ATTEMPTS / JOB).parent.mkdir(parents=True)
    (ATTEMPTS / JOB).write_text("3")
    assert now() == 3


def test_a_full_disk_is_said(monkeypatch):
    monkeypatch.setattr(Path, "write_text", _full)
    with pytest.raises(UserError, match="disk is full"):
        begin_attempts({JOB: []}, {})


def _full(*_, **__):
    raise OSError(28, "No space left on device")
