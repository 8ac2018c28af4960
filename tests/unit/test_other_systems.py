"""Scoring and the doctor without what only Linux has: it is taken away, as no Mac is at hand."""

import builtins
import io
import os
import subprocess
import sys

import psutil
import pytest
import yaml
from samples import moving, write_video, write_weights

from dfdc.cli.main import main
from dfdc.preflight import machine
from dfdc.system.locks.owners import Owner
from dfdc.system.workers.processes import available_cores

KERNEL = ("/proc", "/sys/", "/dev/shm")


@pytest.fixture
def elsewhere(monkeypatch):
    """A system without CPU affinity and without the files in which Linux's kernel tells about itself."""

    def without_kernel(call):
        def called(path, *arguments, **options):
            if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(KERNEL):
                raise FileNotFoundError(2, "No such file or directory", os.fspath(path))
            return call(path, *arguments, **options)

        return called

    monkeypatch.setattr(psutil, "PROCFS_PATH", "/./proc")  # psutil is made for other systems, too: it may look
    for name in ("sched_getaffinity", "sched_setaffinity", "posix_fadvise", "posix_fallocate"):
        monkeypatch.delattr(os, name)
    for module, name in ((builtins, "open"), (io, "open"), (os, "stat")):
        monkeypatch.setattr(module, name, without_kernel(getattr(module, name)))


def test_cores_and_memory(elsewhere):
    assert available_cores() == machine.usable_cores() == os.cpu_count()
    assert machine.usable_memory() == psutil.virtual_memory().total


def test_a_process_is_told_from_others(elsewhere):
    own = Owner.current()
    assert (own.boot, own.namespace, own.started) == ("", 0, 0)
    assert own.visible()
    assert own.exists()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert not Owner(own.host, "", 0, ended.pid, 0).exists()


def test_doctor(elsewhere, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/test_videos").mkdir(parents=True)
    write_video(tmp_path / "data/test_videos/a.mp4", moving(5))
    write_weights(tmp_path / "re.safetensors")
    settings = {
        "detection": {"test": {"detector": "yunet", "weights": None, "resize": "longer_side"}},
        "models": {
            "large_crop": None,
            "seq": None,
            "re": {"architecture": "efficientnet-lite0", "weights": "re.safetensors"},
        },
        "torch_threads": 1,
        "speed": {"device": "cpu"},
    }
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(settings))
    assert main(["doctor", "--config", "my.yaml"]) == 0, capsys.readouterr()
    assert "This run can work" in capsys.readouterr().out


def test_score(elsewhere, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "none.mp4", moving(5))
    write_weights(tmp_path / "re.safetensors")
    words = "none.mp4 --weights re.safetensors --detector yunet --device cpu --csv -"
    assert main(["score", *words.split()]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "none.mp4,0.50000000,no face,no face was detected in any sampled frame,0,0"
    ]


def test_what_cannot_be_given_up_is_told():
    """In a process of its own, which is confined as far as it can be."""
    code = (
        "import builtins, platform\n"
        "from dfdc.system.workers import confinement\n"
        "platform.machine = lambda: 'arm64'\n"  # a Mac's name for it
        "def without_files(*arguments, **options): raise FileNotFoundError\n"
        "builtins.open = without_files\n"
        "print(*confinement.confine(), sep='; ')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "a limit on memory; a filter of system calls (not on linux arm64)", done.stderr
