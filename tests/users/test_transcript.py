"""A transcript that is not what the terminal says fails."""

import os

import pytest
from transcript import Shell, matches, play, read_steps


def test_what_stands_for_anything():
    assert matches(["a …", "…", "z"], "a 1\nb\nc\nz\n")
    assert matches(["a   b"], "a b   ")
    assert matches(["…"], "")
    assert not matches(["a …"], "a 1\nb\n")
    assert not matches(["a", "…", "b", "z"], "a\nb\ny\nz\n")
    assert not matches([], "a\n")


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path, os.environ)
    yield shell
    shell.close()


def played(text, folder, shell):
    page = folder / "page.md"
    page.write_text(f"Words.\n\n```console\n{text}\n```\n")
    play(page, folder, shell)


def test_the_shell_keeps_its_folder_and_takes_both_channels(tmp_path, shell):
    said = "$ mkdir a && cd a; x=1\n$ pwd; echo $x >&2\n…/a\n1\n$ cat\n$ printf a; false\na\n[exit status 1]"
    played(said, tmp_path, shell)
    played("$ cat <<END >b\n>\n> 1\n> END\n$ cat b\n\n1", tmp_path, shell)


@pytest.mark.parametrize(
    "text",
    ["$ echo a", "$ echo a\nb", "$ false", "$ true\n[exit status 1]", "$ echo Traceback\n…", "$ exit"],
)
def test_what_is_not_so_fails(tmp_path, shell, text):
    with pytest.raises(AssertionError):
        played(text, tmp_path, shell)


def test_a_command_has_to_stand_on_the_page_that_it_names(tmp_path, shell):
    (tmp_path / "other.md").write_text("`echo a`")
    played("$ echo a  # other.md\na", tmp_path, shell)
    with pytest.raises(AssertionError, match=r"other\.md has no true"):
        played("$ true  # other.md", tmp_path, shell)


def test_steps_are_read():
    steps = list(read_steps("```console\n$ a\nb\n[exit status 2]\n```\n\n```\n$ no\n```\n```console\n$ c\n```\n"))
    assert [(step.command, step.printed, step.status) for step in steps] == [("a", ["b"], 2), ("c", [], 0)]
