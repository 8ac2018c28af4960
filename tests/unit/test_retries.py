"""What a failed job gets at its next attempt, by what the attempt before noted."""

import os
import time
from pathlib import Path

import pytest

from dfdc.system.errors import Interrupted, OutOfMemory, UserError
from dfdc.system.jobs import retries
from dfdc.system.jobs.log import rule_log
from dfdc.system.jobs.retries import TRIES, End, Factors, Verdict, begin_try, end_try, factors, judge

JOB, TRAINING = "detect_faces/0", "train/re"
LIMIT = 720.0  # minutes

pytestmark = pytest.mark.usefixtures("job_folder")


def attempt(job, end, minutes=10.0, first=False):
    """What becomes of a job whose attempt took so long and noted this end (None: it was killed)."""
    with pytest.MonkeyPatch.context() as patch:
        begun = time.time()
        begin_try(job)
        if end:
            end_try(job, end)
        patch.setattr(retries.time, "time", lambda: begun + minutes * 60)
        return judge([(job, LIMIT)], first)


def write_checkpoint(iteration):
    path = Path(f"work/re/fingerprint/checkpoint_{iteration:08}.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (iteration, iteration))


@pytest.mark.parametrize(
    ("end", "minutes", "wanted"),
    [
        (End.OUT_OF_MEMORY, 10, Factors(2, 1)),
        (None, 10, Factors(2, 1)),  # killed long before its time was up
        (None, 719, Factors(2, 2)),  # killed at the limit, perhaps because of it
        (End.STOPPED, 719, Factors(1, 2)),
        (End.STOPPED, 10, Factors(1, 1)),  # preempted
        (End.ERROR, 10, Factors(2, 2)),
    ],
)
def test_a_job_gets_more_of_what_it_lacked(end, minutes, wanted):
    assert attempt(JOB, end, minutes) == Verdict(again=True, progress=False)
    assert factors(JOB, 2) == wanted


def test_what_was_lacking_adds_up():
    attempt(JOB, End.OUT_OF_MEMORY)
    attempt(JOB, End.OUT_OF_MEMORY)
    attempt(JOB, End.STOPPED, LIMIT)
    assert factors(JOB, 4) == Factors(3, 2)


def test_the_first_attempt_of_a_run_is_as_the_rule_says_and_forgets_earlier_runs():
    attempt(JOB, End.OUT_OF_MEMORY)
    attempt(JOB, End.OUT_OF_MEMORY)
    assert factors(JOB, 1) == Factors(1, 1)
    attempt(JOB, End.OUT_OF_MEMORY, first=True)
    assert factors(JOB, 2) == Factors(2, 1)


def test_a_job_that_never_began_gets_more_of_both():
    assert factors(JOB, 3) == Factors(3, 3)
    assert judge([(JOB, LIMIT)], first=True).again
    assert factors(JOB, 2) == Factors(2, 2)
    judge([(JOB, LIMIT)], first=False)
    assert factors(JOB, 3) == Factors(3, 3)


def test_a_mistake_is_not_repeated():
    assert not attempt(JOB, End.MISTAKE).again


def test_a_training_goes_on_in_the_same_time_and_memory_as_long_as_it_advances():
    for iteration in range(1, 20):
        begin_try(TRAINING)
        write_checkpoint(iteration)
        end_try(TRAINING, End.STOPPED)
        assert judge([(TRAINING, 1)], first=iteration == 1) == Verdict(again=True, progress=True)
        assert factors(TRAINING, 2) == Factors(1, 1)
    assert attempt(TRAINING, End.STOPPED, LIMIT) == Verdict(again=True, progress=False)
    assert factors(TRAINING, 3) == Factors(1, 2)


def test_a_training_that_runs_out_of_memory_gets_more_even_if_it_advances():
    begin_try(TRAINING)
    write_checkpoint(1)
    assert judge([(TRAINING, LIMIT)], first=True).progress
    assert factors(TRAINING, 2) == Factors(2, 1)


def test_in_a_group_only_what_failed_gets_more():
    for job, end in (("build_tracks/0", End.FINISHED), ("align_tracks/0", End.OUT_OF_MEMORY)):
        begin_try(job)
        end_try(job, end)
    group = [(job, LIMIT) for job in ("build_tracks/0", "align_tracks/0", "extract_clips/0")]
    assert judge(group, first=True) == Verdict(again=True, progress=False)
    assert [factors(job, 2) for job, _ in group] == [Factors(1, 1), Factors(2, 1), Factors(1, 1)]


def test_a_damaged_note_is_none():
    begin_try(JOB)
    (TRIES / JOB).write_text("{")
    assert judge([(JOB, LIMIT)], first=False).again
    assert factors(JOB, 2) == Factors(2, 2)


@pytest.mark.parametrize(
    ("raised", "end"),
    [
        (UserError("The file is missing."), End.MISTAKE),
        (Interrupted("Stopped by a signal."), End.STOPPED),
        (KeyboardInterrupt(), End.STOPPED),
        (OutOfMemory("A process was killed."), End.OUT_OF_MEMORY),
        (MemoryError(), End.OUT_OF_MEMORY),
        (OSError(28, "No space left on device"), End.MISTAKE),
        (ValueError("unexpected"), End.ERROR),
    ],
)
def test_jobs_note_how_they_end(raised, end):
    with pytest.raises(SystemExit), rule_log(f"logs/{JOB}.log", "detect_faces"):
        raise raised
    assert retries._read(JOB).end is end
    with rule_log(f"logs/{JOB}.log", "detect_faces"):
        pass
    assert retries._read(JOB).end is End.FINISHED


def test_a_full_disk_is_not_in_the_way(monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    begin_try(JOB)
    end_try(JOB, End.ERROR)
    assert judge([(JOB, LIMIT)], first=True).again
