import logging
import warnings
from pathlib import Path

import pytest

from dfdc.system.errors import UserError
from dfdc.system.jobs.log import rule_log
from dfdc.system.progress import progress
from dfdc.system.words import duration

pytestmark = pytest.mark.usefixtures("job_folder")


def test_what_happens_goes_to_the_file_and_the_terminal(capsys):
    with rule_log("logs/a.log", "train re"):
        logging.getLogger("dfdc.somewhere").info("three of four")
        warnings.warn("take care", stacklevel=1)
    log = Path("logs/a.log").read_text()
    assert " INFO three of four\n" in log
    assert "take care" in log
    assert "[train re] three of four\n" in capsys.readouterr().err


def test_a_fault_of_the_user_has_no_traceback(capsys):
    with pytest.raises(SystemExit) as ended, rule_log("logs/a.log", "score"):
        raise UserError("The file is missing.\nGet it.")
    assert ended.value.code == 1
    seen = capsys.readouterr().err
    assert seen == "[score] The file is missing.\nGet it.\n"
    assert "ERROR The file is missing." in Path("logs/a.log").read_text()
    assert "Traceback" not in Path("logs/a.log").read_text()


def test_names_with_commands_for_the_terminal_do_not_reach_it(capsys):
    with pytest.raises(SystemExit), rule_log("logs/a.log", "score"):
        raise UserError("caf\udce9\x1b[2J\x07.mp4 is missing.")
    assert capsys.readouterr().err == "[score] caf\\udce9\\x1b[2J\\x07.mp4 is missing.\n"
    assert r"caf\udce9" in Path("logs/a.log").read_text()


def test_any_other_fault_has_its_traceback_in_the_log_alone(capsys):
    with pytest.raises(SystemExit) as ended, rule_log("logs/a.log", "score"):
        {}["absent"]
    assert ended.value.code == 1
    seen = capsys.readouterr().err
    assert seen.count("\n") == 1
    assert "KeyError: 'absent'" in seen
    assert "logs/a.log" in seen
    log = Path("logs/a.log").read_text()
    assert "Traceback (most recent call last)" in log
    assert '{}["absent"]' in log


def test_progress_gives_everything_on_and_ends_with_the_total(caplog):
    caplog.set_level(logging.INFO, "dfdc")
    assert list(progress(iter("abc"), 3, "videos", interval=60)) == list("abc")
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("3/3 videos, ")
    caplog.clear()
    assert list(progress("abcd", 4, "videos", interval=0)) == list("abcd")
    assert [message.split()[0] for message in caplog.messages] == ["1/4", "2/4", "3/4", "4/4"]
    assert list(progress([], 0, "videos")) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (42, "42 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3600, "1 h 0 min"),
        (25920.4, "7 h 12 min"),
    ],
)
def test_duration(seconds, words):
    assert duration(seconds) == words
