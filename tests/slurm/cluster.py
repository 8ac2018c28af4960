"""The tiny demo on a cluster with SLURM."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

TINY = ("profiles/demo/settings.yaml", "tests/tiny.yaml")
# Less waiting than a cluster's controller would like, and no more jobs than a small machine takes.
QUICK = ("--jobs", "4", "--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10")
# Trainings so long that none ends within a minute, and one that does not end within the tests.
LONG = {"training": {"iterations": 200}, "validation": {"every": 100}, "speed": {"checkpoint_every": 5}}
ENDLESS = {**LONG, "training": {"iterations": 100_000}}


def wait_for(what: str, found: Callable[[], Any], seconds: float = 1800) -> Any:
    """What ``found`` returns as soon as that is something; fails if it takes very long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.5)
    pytest.fail(f"waited {seconds} s in vain for {what}")


class Cluster:
    """The tiny demo on the cluster, in the folder of a Project (see tests/conftest.py)."""

    def __init__(self, project: Any) -> None:
        self.project = project
        self._started: list[subprocess.Popen] = []

    def start(self, *arguments: str, settings: dict | None = None) -> subprocess.Popen:
        """Start snakemake; what it prints is in ``snakemake.log`` in the project's folder."""
        files = list(TINY)
        if settings is not None:
            (self.project.folder / "changed.yaml").write_text(yaml.safe_dump(settings))
            files.append("changed.yaml")
        options = ("--profile", "profiles/slurm", "--directory", "demo", *QUICK, *arguments, "--configfile", *files)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        with self.log.open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *options],
                cwd=self.project.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._started.append(process)
        return process

    def stop(self) -> None:
        """End what a test that failed has left behind."""
        for process in self._started:
            process.kill()
            process.wait()

    @property
    def log(self) -> Path:
        """What snakemake printed."""
        return self.project.folder / "snakemake.log"

    def jobs(self, rule: str = "") -> list[dict[str, str]]:
        """All jobs, or those of one rule, that were ever submitted from this folder, as SLURM describes them."""
        printed = subprocess.run(
            ["scontrol", "show", "job", "--details", "--oneliner"], capture_output=True, text=True, check=True
        ).stdout
        jobs = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in printed.splitlines()]
        jobs = [job for job in jobs if job.get("WorkDir") == str(self.project.demo)]
        return [job for job in jobs if f"{job['Comment']}_wildcards_".startswith(f"rule_{rule}")]

    def training(self, model: str, number: int, state: str = "RUNNING") -> dict[str, str]:
        """A model's training of this number, from 1, as soon as it is in this state."""

        def found() -> dict[str, str] | None:
            jobs = self.jobs(f"train_wildcards_{model}_")
            return jobs[number - 1] if len(jobs) >= number and jobs[number - 1]["JobState"] == state else None

        return wait_for(f"training {number} of {model} to be {state}", found)

    def checkpoints(self, model: str) -> list[str]:
        """The names of a training's checkpoints."""
        return sorted(path.name for path in self.project.demo.glob(f"work/{model}/*/checkpoint_*.safetensors"))

    def training_log(self, model: str) -> str:
        """What the training has said so far."""
        path = self.project.demo / f"logs/train/{model}.log"
        return path.read_text() if path.exists() else ""
