"""A cluster of two pretended nodes with SLURM, and the tiny demo on it."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import ENDLESS, Cluster

CLUSTER = Path(__file__).with_name("cluster.sh")


def _free_ports(count: int) -> list[str]:
    """Ports of this machine that nobody listens on."""
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [str(each.getsockname()[1]) for each in sockets]


@pytest.fixture(scope="module")
def _slurm() -> Iterator[None]:
    installed = subprocess.run([CLUSTER, "install"], capture_output=True, text=True)
    if installed.returncode == 3:  # it cannot be had here, and the script says why
        pytest.skip(installed.stderr.strip())
    assert installed.returncode == 0, installed.stderr
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # a short path, since there will be sockets in it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        patch.setenv("DFDC_PRETENDED_GPUS", "yes")
        patch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        try:
            subprocess.run([CLUSTER, "start", folder, *_free_ports(3)], check=True)
            yield
        finally:
            subprocess.run([CLUSTER, "stop", folder], check=True)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def finished(_slurm: None, program: Any) -> Iterator[Cluster]:
    """The cluster after a run of the whole workflow. Not to be changed."""
    cluster = Cluster(program)
    # The data first, as if they had always been there: of jobs for a cluster Snakemake remembers parameters as they
    # were when the run began, and these hash the videos.
    for target in ("data/test_labels.csv", "all"):
        assert cluster.start(target).wait() == 0, cluster.log.read_text()
    yield cluster
    cluster.stop()


def _slow(finished: Cluster, folder: Path) -> Iterator[Cluster]:
    """The same in another folder, where a step of a training takes at least half a second."""
    project = finished.project.copy(folder / "copy")
    project.replace(
        "lib/dfdc/stages/training/trainer.py",
        "        self._enter_phase(warm_up=",
        "        __import__('time').sleep(0.5)\n        self._enter_phase(warm_up=",
    )
    cluster = Cluster(project)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def slow(finished: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with slow trainings."""
    yield from _slow(finished, tmp_path_factory.mktemp("slow"))


@pytest.fixture(scope="module")
def cut_short(finished: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Another one, with a training under way whose attempts have a minute each; the tests need not wait for it."""
    for cluster in _slow(finished, tmp_path_factory.mktemp("cut_short")):
        cluster.start(
            *("results/models/re/weights.safetensors", "--retries", "1", "--set-resources", "train:runtime=1"),
            settings=ENDLESS,
        )
        yield cluster


@pytest.fixture
def changeable(finished: Cluster, tmp_path: Path) -> Iterator[Cluster]:
    """The cluster after a run of the whole workflow, for one test."""
    cluster = Cluster(finished.project.copy(tmp_path / "copy"))
    yield cluster
    cluster.stop()
