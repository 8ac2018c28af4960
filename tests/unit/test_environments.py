"""The environments are one: that of pip, those of conda, and the one in the container."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from parsed import parsed_rules

from dfdc.config.reading import read_config

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
ENVIRONMENTS = {
    "dfdc.yaml": [*PROJECT["dependencies"], *EXTRAS["demo"]],
    "convert.yaml": [*PROJECT["dependencies"], *EXTRAS["demo"], *EXTRAS["convert"]],
}


def by_name(requirements):
    """{name: versions}, names as pip compares them."""
    parsed = [Requirement(line) for line in requirements]
    found = {canonicalize_name(requirement.name): requirement.specifier for requirement in parsed}
    assert len(found) == len(parsed)
    return found


def locked():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return by_name(line for line in lines if not line.startswith("#"))


def conda(name):
    """The version of Python and the packages of a conda environment."""
    environment = yaml.safe_load((ROOT / "envs" / name).read_text())
    python, pip, packages = environment["dependencies"]
    assert pip == "pip"
    return python.removeprefix("python ="), by_name(packages["pip"])


def instructions(text):
    """The instructions of a Dockerfile, each with what it is given."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


DOCKERFILE = instructions((ROOT / "Dockerfile").read_text())


def given(instruction):
    return [rest for name, rest in DOCKERFILE if name == instruction]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_conda_environments_hold_what_pip_would_install(name):
    python, packages = conda(name)
    assert packages == by_name(ENVIRONMENTS[name])
    assert python in SpecifierSet(PROJECT["requires-python"])


def test_rules_name_environments_that_there_are():
    named = {(ROOT / "rules" / rule.conda_env).resolve() for rule in parsed_rules()}
    assert named == {ROOT / "envs" / name for name in ENVIRONMENTS} == set((ROOT / "envs").iterdir())


def test_every_package_is_locked_in_a_version_that_is_asked_for():
    pins = locked()
    for name, versions in pins.items():
        (pin,) = versions
        assert pin.operator == "==", name
        # A build for one machine alone would not be found by pip.
        assert "+" not in pin.version, name
        assert "*" not in pin.version, name
    extras = (package for extra in ("completion", "demo", "dev", "slurm") for package in EXTRAS[extra])
    wanted = by_name([*PROJECT["dependencies"], *extras])
    for name, versions in wanted.items():
        (pin,) = pins[name]
        assert pin.version in versions, name


def test_the_container_has_a_base_of_one_version():
    (base,) = given("FROM")
    python = re.fullmatch(r"python:(\d+\.\d+)(\.\d+)-slim-[a-z]+(@sha256:[0-9a-f]{64})?", base)
    assert python, base
    assert f"{python[1]}{python[2]}" in SpecifierSet(PROJECT["requires-python"])
    assert {conda(name)[0] for name in ENVIRONMENTS} == {python[1]}


def test_the_container_has_the_locked_packages_a_compiler_and_nothing_else():
    (copied,) = (shlex.split(rest) for rest in given("COPY"))
    system, run = (shlex.split(rest) for rest in given("RUN"))
    assert [word for word in system[system.index("install") :] if not word.startswith("-")][1:3] == ["gcc", "libc6-dev"]
    assert copied == ["requirements.txt", "/opt/dfdc/"]
    assert run[:2] == ["pip", "install"]
    assert run[run.index("--requirement") + 1] == "/opt/dfdc/requirements.txt"
    assert all(word.startswith("--") for word in run[2:-1])
    # What is copied is sent to the builder, and not the data beside it.
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert ignored == ["*", *(f"!{name}" for name in copied[:-1])]
    assert all((ROOT / name).is_file() for name in copied[:-1])


def test_the_container_does_not_run_as_root():
    (user,) = given("USER")
    assert DOCKERFILE[-1] == ("USER", user)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_snakemakes_oldest_version_is_the_documented_one():
    """And what pip installs is among the tested ones."""
    (oldest,) = re.findall(r'^min_version\("(.+)"\)$', (ROOT / "Snakefile").read_text(), re.MULTILINE)
    page = (ROOT / "docs" / "modules.md").read_text(encoding="utf-8")
    assert re.findall(r"Snakemake (\S+) or newer", page) == [oldest]
    tested = re.findall(r"\b\d+\.\d+\.\d+\b", page)
    assert str(locked()["snakemake"]).removeprefix("==") in tested
    assert f"{oldest}.0" in tested


def test_profiles_have_the_name_that_all_versions_of_snakemake_find():
    assert {path.name for path in ROOT.glob("profiles/*/*")} == {"config.yaml", "settings.yaml"}
    assert all((folder / "config.yaml").is_file() for folder in ROOT.glob("profiles/*"))


def test_the_template_of_settings_is_valid():
    read_config(ROOT, [ROOT / "config" / "config.yaml"])
