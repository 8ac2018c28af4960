"""What a process that decodes videos may not do."""

import os
import platform
import subprocess
import sys
from dataclasses import dataclass

import pytest

from dfdc.preflight.programs import _confinement
from dfdc.system.workers.pool import map_in_order

FILTERED = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")

TRIES = {
    "network": "import socket; socket.socket(socket.AF_INET)",
    "other program": "import os; os.execv('/bin/true', ['true'])",
    "too much memory": "bytearray(20 * 2**30)",
    "large file": "open('large', 'wb').truncate(2**40)",
    "trace": "import ctypes; assert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0",
}
FINE = {
    "some memory": "bytearray(2**30)",
    "local socket": "import socket; socket.socket(socket.AF_UNIX)",
    "no core dump": "import resource; assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)",
    "file": "open('small', 'wb').write(b'content')",
    "thread": "import threading; thread = threading.Thread(target=int); thread.start(); thread.join()",
}


def run_confined(code, folder):
    begin = "from dfdc.system.workers.confinement import confine; assert confine() == []; "
    return subprocess.run([sys.executable, "-c", begin + code], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not FILTERED, reason="confinement is for Linux on x86-64 and ARM64")
@pytest.mark.parametrize("name", TRIES)
def test_what_is_denied(name, tmp_path):
    done = run_confined(TRIES[name], tmp_path)
    assert done.returncode == 1
    assert any(word in done.stderr for word in ("Permission", "MemoryError", "File too large", "AssertionError"))


@pytest.mark.skipif(not FILTERED, reason="confinement is for Linux on x86-64 and ARM64")
@pytest.mark.parametrize("name", FINE)
def test_what_is_needed(name, tmp_path):
    done = run_confined(FINE[name], tmp_path)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Greedy:
    """Asks for more memory than any video needs, for one of its items."""

    def prepare(self):
        return self.work

    def work(self, item):
        try:
            return len(bytearray(20 * 2**30 if item == 1 else 10))
        except MemoryError:
            return "no memory"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what is mapped")
def test_workers_of_a_pool_are_confined():
    assert list(map_in_order(Greedy().prepare, range(3), 1, None, None)) == [10, "no memory", 10]


@dataclass(frozen=True)
class Descriptors:
    """Whether a worker has a descriptor of the main process."""

    number: int

    def prepare(self):
        return self.work

    def work(self, _):
        try:
            os.fstat(self.number)
        except OSError:
            return False
        return True


def test_workers_inherit_no_descriptors(tmp_path):
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        number = os.dup2(file.fileno(), 200)
        assert list(map_in_order(Descriptors(number).prepare, [0], 1, None, None)) == [False]
        os.close(number)


def test_doctor_says_what_is_not_possible(monkeypatch):
    finding = _confinement()
    assert finding.level == ("ok" if FILTERED else "note")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert "cannot be fully sandboxed" in _confinement().message
