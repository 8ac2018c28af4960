"""The package without a clone of the project: built, installed, and called where nothing else is."""

import ast
import csv
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from samples import moving, write_video, write_weights

import dfdc

ROOT = Path(__file__).resolve().parents[2]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which pip has installed the package."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "lib", source / "lib", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
    offline = ("--no-deps", "--no-index", "--no-build-isolation")
    run(*pip, "wheel", *offline, "--wheel-dir", str(folder), str(source))
    shutil.rmtree(source)
    (wheel,) = folder.glob("*.whl")
    run(*pip, "install", "--no-deps", "--no-index", "--target", str(folder / "packages"), str(wheel))
    return folder / "packages"


def test_scores_without_a_clone(installed, tmp_path):
    write_video(tmp_path / "none.mp4", moving(5))
    write_weights(tmp_path / "re.safetensors")
    words = "score none.mp4 --weights re.safetensors --detector yunet --device cpu --workers 1 --csv -"
    environment = os.environ | {"PYTHONPATH": str(installed)}
    said = run(installed / "bin/dfdc", *words.split(), cwd=tmp_path, env=environment)
    (row,) = csv.DictReader(said.splitlines())
    assert (row["video"], row["status"], row["probability"]) == ("none.mp4", "no face", "0.50000000")
    where = run(sys.executable, "-c", "import dfdc; print(dfdc.__file__)", cwd=tmp_path, env=environment)
    assert where.strip() == str(installed / "dfdc/__init__.py")
    assert run(sys.executable, "-m", "dfdc", "--version", cwd=tmp_path, env=environment).startswith("dfdc ")


def test_types_come_with_the_package(installed):
    """A type checker reads the stub, whose names are those that the package has."""
    assert (installed / "dfdc/py.typed").is_file()
    stub = ast.parse((installed / "dfdc/__init__.pyi").read_text())
    for statement in stub.body:
        for name in statement.names:
            assert getattr(dfdc, name.asname) is getattr(import_module(statement.module), name.name)
    assert {name.asname for statement in stub.body for name in statement.names} == {"score", "Scores"}


def test_what_needs_a_clone_says_so(installed, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "dfdc", "doctor"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Run this command in a clone of the project" in done.stderr


def test_the_settings_of_the_package_are_those_of_the_project(installed):
    for name in ("config.yaml", "profiles/demo/settings.yaml"):
        assert (installed / "dfdc/config/defaults" / name).read_bytes() == (ROOT / name).read_bytes()
