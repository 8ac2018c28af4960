import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dfdc.cli.main import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("arguments", [[], ["no such command"]])
def test_what_is_no_command_is_a_mistake_of_the_user(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: dfdc" in capsys.readouterr().err


def test_help_names_every_command_without_torch():
    code = "import sys; from dfdc.cli.main import main\ntry: main(['--help'])\nfinally: print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(f"  {name}" in said for name in COMMANDS)
    assert said.endswith("False\n")


def test_the_version_is_that_of_the_project(capsys):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"dfdc {project['version']}\n"


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("", set(COMMANDS)),
        ("sc", {"score"}),
        ("score --dev", {"--device"}),
        ("score --device c", {"cpu", "cuda"}),
        ("doctor --config config.y", {"config.yaml"}),
        ("inspect pyproj", {"pyproject.toml"}),
    ],
)
def test_a_shell_completes_commands_options_and_files(completion, words, completed):
    # As bash does when the tab key is pressed.
    code = 'source "$0"; COMP_WORDS=(dfdc "$@"); COMP_CWORD=$#; _shtab_dfdc; printf "%s\\n" "${COMPREPLY[@]}"'
    command = ["bash", "-c", code, completion, *words.split(" ")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (set(done.stdout.split()), done.stderr) == (completed, "")


@pytest.fixture(scope="module")
def completion(tmp_path_factory):
    """The script for bash."""
    path = tmp_path_factory.mktemp("completion") / "dfdc"
    with path.open("w") as file:
        subprocess.run([sys.executable, "-m", "dfdc", "completion", "bash"], stdout=file, check=True)
    return path


def test_a_reader_who_has_read_enough_is_no_error(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_text("filename,label\na.mp4,0.5\n")
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "dfdc", "inspect", path]
    with os.fdopen(writer, "w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")


def test_without_its_packages_serve_says_which(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "--weights", "absent"]) == 2
    assert "dfdc serve needs the packages starlette and uvicorn: pip install" in capsys.readouterr().err
