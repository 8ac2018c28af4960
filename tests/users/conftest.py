"""What new users start from: an empty folder, a shell without our environment, and a fresh clone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from transcript import Shell

ROOT = Path(__file__).resolve().parents[2]
OURS = ("PYTHONPATH", "VIRTUAL_ENV", "SNAKEMAKE_PROFILE", "DFDC_BRIEF")


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """The folder in which the users work, one after the other, with a clone of what is committed in it."""
    folder = tmp_path_factory.mktemp("users")
    subprocess.run(["git", "clone", "--quiet", ROOT, folder / "repository"], check=True)
    return folder


@pytest.fixture
def shell(home):
    """A shell without an environment of ours."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS and not name.startswith("MAKE")}
    places = [place for place in kept["PATH"].split(os.pathsep) if not place.startswith(sys.prefix)]
    # The pages say what programs say in English.
    started = Shell(home, kept | {"PATH": os.pathsep.join(places), "LC_ALL": "C.UTF-8"})
    yield started
    started.close()
