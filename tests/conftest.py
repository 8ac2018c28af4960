"""What the tests of the whole workflow share: a copy of the project, and a run of the demo at the smallest size."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from hypothesis import HealthCheck, settings

from dfdc.config.reading import merged
from dry_runs import dry_run

# A shell that starts something in the background lets it ignore Ctrl-C, and that is inherited. Not by the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a shell may have set that changes what is printed, or git if it runs the tests. Tests that are about one of these
# set it themselves.
for name in ("COLUMNS", "DFDC_BRIEF", "FORCE_COLOR", "NO_COLOR", "PYTHONWARNINGS", "GIT_DIR", "GIT_INDEX_FILE"):
    os.environ.pop(name, None)

# The same examples in every run, so that a run that passed passes again; others are looked for with
# `pytest --hypothesis-profile=search`. None fails because this machine is slow.
UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **UNTIMED)
settings.register_profile("search", max_examples=1000, **UNTIMED)
settings.load_profile("same")

ROOT = Path(__file__).resolve().parents[1]
# What a run of the workflow consists of.
PROGRAM = ("Snakefile", "config.yaml", "lib", "profiles", "rules", "workflow", "envs", "tests/tiny.yaml")
TINY = ("profiles/demo/settings.yaml", "tests/tiny.yaml")
# So few videos are not worth more threads, and two jobs at a time use two cores best.
THREADS = [f"{rule}=1" for rule in ("detect_faces", "extract_clips", "detect_test_faces", "crop_test_faces")]
THREADS += ["train=1", "score=1", "score_validation_clips=1"]


class Project:
    """A copy of the project in a folder of its own, the tiny demo's results below ``demo`` in it.

    What ``write``, ``replace``, ``remove`` and ``touch`` did to files, ``restore`` takes back, times included.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.demo = folder, folder / "demo"
        self.environment: dict[str, str] = {}  # besides that of the tests
        self._kept: dict[Path, tuple[bytes, int] | None] = {}

    @classmethod
    def fresh(cls, folder: Path, source: Path = ROOT) -> "Project":
        """The program alone, as it is in the checkout or in another project's folder."""
        for name in PROGRAM:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (source / name).is_dir():
                shutil.copytree(source / name, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy2(source / name, target)
        return cls(folder)

    def copy(self, folder: Path) -> "Project":
        """Another project in the same state, but for the checkpoints, which nothing needs."""
        ignored = shutil.ignore_patterns("work", "__pycache__")
        return Project(Path(shutil.copytree(self.folder, folder, ignore=ignored)))

    def tiny_settings(self) -> dict[str, Any]:
        """The tiny demo's settings in full."""
        return reduce(merged, (yaml.safe_load((self.folder / name).read_text()) for name in ("config.yaml", *TINY)))

    def own_data_settings(self) -> dict[str, Any]:
        """The same for somebody whose data are not made by the workflow."""
        settings = self.tiny_settings()
        del settings["demo"]
        settings["speed"]["device"] = "cpu"
        return settings

    def snakemake(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess:
        """Run snakemake on the tiny demo, with some settings changed, see ``_arguments``."""
        return self.bare_snakemake(*arguments, *self._arguments(**options))

    def start_snakemake(self, *arguments: str, output: Path, **options: Any) -> subprocess.Popen:
        """Start the same in a session of its own, with what it prints in a file."""
        with output.open("w") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "snakemake", *arguments, *self._arguments(**options)],
                cwd=self.folder,
                env=self._environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def why(self, status: int = 0, **options: Any) -> str:
        """What `make why` would print about the tiny demo."""
        done = self._run("workflow/why.py", *self._arguments(**options))
        assert done.returncode == status, done.stdout
        return done.stdout

    def accept(self, status: int = 0, words: Sequence[str] = ("--yes",), **options: Any) -> str:
        """What `make accept ARGS=--yes` would print about the tiny demo."""
        done = self._run("workflow/accept.py", *words, *self._arguments(**options))
        assert done.returncode == status, done.stdout
        return done.stdout

    def bare_snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run snakemake in the project's folder; what it prints on both channels is in ``stdout``."""
        return self._run("-m", "snakemake", *arguments)

    def _arguments(
        self, settings: Mapping[str, Any] | None = None, own_data: bool = False, cores: int = 2
    ) -> list[str]:
        files = [str(self.folder / name) for name in TINY]
        profile = ["--profile", "profiles/demo"]
        if own_data:
            files = [self.yaml("own.yaml", self.own_data_settings())]
            profile = ["--directory", "demo"]
        if settings is not None:
            files.append(self.yaml("changed.yaml", settings))
        return ["--cores", str(cores), *profile, "--configfile", *files, "--set-threads", *THREADS]

    def _run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self._environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SNAKEMAKE_PROFILE")}
        return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | self.environment

    def plan(self, *arguments: str, **options: Any) -> list[str]:
        """The jobs that snakemake would run, sorted, each as its rule and the values of its wildcards."""
        return self.bare_plan(*arguments, *self._arguments(**options))

    def bare_plan(self, *arguments: str) -> list[str]:
        """The same without the tiny demo's settings."""
        return sorted(self._planned(*arguments))

    def outputs(self) -> dict[str, list[str]]:
        """The files that each job of the whole plan writes, from the project's folder."""
        planned = self._planned("--forceall", *self._arguments())
        return {job: [f"demo/{path}" for path in about["output"].split(", ")] for job, about in planned.items()}

    def resources(self, *arguments: str, **options: Any) -> dict[str, dict[str, str]]:
        """What each job of the plan asks for, resource by resource."""
        planned = self._planned(*arguments, *self._arguments(**options))
        return {
            job: dict(pair.split("=", 1) for pair in about["resources"].split(", ")) for job, about in planned.items()
        }

    def dry_run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess:
        """A dry run of the tiny demo, which may fail; it takes less time than ``snakemake``."""
        return self.bare_dry_run(*arguments, *self._arguments(**options))

    def bare_dry_run(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess:
        """The same without the tiny demo's settings, in the project's folder or in another one."""
        return dry_run(list(arguments), folder or self.folder, self._environment())

    def _planned(self, *arguments: str) -> dict[str, dict[str, str]]:
        done = self.bare_dry_run(*arguments)
        assert done.returncode == 0, done.stdout
        return jobs_in(done.stdout)

    def write(self, path: str, content: bytes) -> None:
        """Write a file."""
        file = self._keep(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def replace(self, path: str, old: str, new: str) -> None:
        """Edit a text file."""
        text = (self.folder / path).read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
        self.write(path, text.replace(old, new).encode())

    def remove(self, path: str) -> None:
        """Delete a file."""
        self._keep(path).unlink()

    def touch(self, path: str, time: float) -> None:
        """Set a file's time to so many seconds since 1970."""
        os.utime(self._keep(path), (time, time))

    def restore(self) -> None:
        """Take all changes back."""
        for file, before in self._kept.items():
            if before is None:
                file.unlink(missing_ok=True)
                if file.parent.is_dir() and not any(file.parent.iterdir()):
                    file.parent.rmdir()
            else:
                file.write_bytes(before[0])
                os.utime(file, ns=(before[1], before[1]))
        self._kept.clear()

    def _keep(self, path: str) -> Path:
        file = self.folder / path
        if file not in self._kept:
            self._kept[file] = (file.read_bytes(), file.stat().st_mtime_ns) if file.exists() else None
        return file

    def yaml(self, name: str, settings: Mapping[str, Any]) -> str:
        path = self.folder / name
        path.write_text(yaml.safe_dump(dict(settings), sort_keys=False))
        return str(path)


def jobs_in(output: str) -> dict[str, dict[str, str]]:
    """The jobs that snakemake lists in what it prints, without the rule `all`, and what it says about each."""
    jobs = {}
    # Jobs of a group are indented.
    output = re.sub(r"^ {4}(?= {4}|\[|(?:local)?rule )", "", output, flags=re.MULTILINE)
    for rule, lines in re.findall(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)+)", output, re.MULTILINE):
        about = dict(re.findall(r"^ {4}(\w+): (.*)$", lines, re.MULTILINE))
        pairs = about["wildcards"].split(", ") if "wildcards" in about else []
        jobs[" ".join([rule, *(pair.split("=")[1] for pair in pairs)])] = about
    total = re.search(r"^total +(\d+)$", output, re.MULTILINE)
    assert len(jobs) == (int(total[1]) if total else 0), output
    jobs.pop("all", None)
    return jobs


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of the tiny demo, made once for all tests and processes. Not to be changed: copy it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    with FileLock(root / "finished_run.lock"):
        folder, made = root / "finished_run", root / "finished_run.made"
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            done = Project.fresh(folder).snakemake()
            assert done.returncode == 0, done.stdout
            made.touch()
    return Project(folder)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The program alone, with nothing run."""
    return Project.fresh(tmp_path_factory.mktemp("program") / "copy")


@pytest.fixture(scope="module")
def _copy_of_module(finished_run: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished_run.copy(tmp_path_factory.mktemp("project") / "copy")


@pytest.fixture
def project(_copy_of_module: Project):
    """A copy of the finished run whose files are put back after each test."""
    yield _copy_of_module
    _copy_of_module.restore()


def _run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, text=True, capture_output=True, check=False)


@pytest.fixture
def disk(tmp_path):
    """Gives a function that mounts a disk of a size at a folder; a second call for the same folder changes its size."""
    mounted = []

    def mount(folder, size):
        folder.mkdir(parents=True, exist_ok=True)
        options = f"remount,size={size}" if folder in mounted else f"size={size}"
        done = _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
        if done.returncode and folder not in mounted:  # to change the size of one that is there must not fail
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        mounted.append(folder)
        return folder

    yield mount
    for folder in set(mounted):
        _run("umount", "--lazy", str(folder))
