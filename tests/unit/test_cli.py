import os
import subprocess
import sys

import pytest

from dfdc.cli.main import COMMANDS, main


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


def test_a_reader_who_has_read_enough_is_no_error(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_text("filename,label\na.mp4,0.5\n")
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "dfdc.cli", "inspect", path]
    with os.fdopen(writer, "w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")
