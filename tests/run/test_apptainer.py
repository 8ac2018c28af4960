"""Jobs in a container, as Snakemake starts them; in place of Apptainer a program that says what it was asked for."""

import json

import pytest

# It runs the command that is meant for the container, outside of one.
APPTAINER = """#!/usr/bin/env python3
import json, os, sys
if sys.argv[1:] == ["--version"]:
    print("apptainer version 1.3.0")
else:
    asked = {"arguments": sys.argv[1:-3], "PYTHONPATH": os.environ["PYTHONPATH"]}
    with open(os.environ["ASKED"], "a") as file:
        print(json.dumps(asked), file=file)
    os.execvp(sys.argv[-3], sys.argv[-3:])
"""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What Apptainer was asked for."""
    program = tmp_path / "bin" / "apptainer"
    program.parent.mkdir()
    program.write_text(APPTAINER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return lambda: [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]


def test_jobs_run_in_the_image_with_the_code_of_the_checkout(finished_run, tmp_path, asked):
    project = finished_run.copy(tmp_path / "copy")
    project.write("dfdc.sif", b"")
    before = (project.demo / "submission.csv").read_bytes()
    container = ("--software-deployment-method", "apptainer", "--apptainer-args", f"--nv --bind {project.folder}")
    # To Snakemake it is another environment, in which everything would have to be made again.
    done = project.snakemake("--forcerun", "submission", "--rerun-triggers", "mtime", *container)
    assert done.returncode == 0, done.stdout
    assert (project.demo / "submission.csv").read_bytes() == before
    (job,) = asked()
    image = str(project.folder / "dfdc.sif")
    assert job["arguments"][-1] == image
    assert ["--nv", "--bind", str(project.folder)] == job["arguments"][3:6]
    assert job["PYTHONPATH"].split(":")[0] == str(project.folder / "lib")
