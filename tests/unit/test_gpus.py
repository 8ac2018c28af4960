"""Jobs of one machine that lease its GPUs; the GPUs are pretended (DFDC_GPUS)."""

import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
from select import select

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from snakemake.iocontainers import ResourceList

from dfdc.system.errors import UserError
from dfdc.system.jobs import leases
from dfdc.system.jobs.devices import PRETENDED, job_device, job_devices, requested_gpus
from dfdc.system.jobs.leases import devices_listed, lease, visible_devices
from dfdc.system.jobs.provenance import LIBRARY

# A job: it leases GPUs and marks each, which fails if another job has marked it; then it says which, and goes on for
# so many seconds or until its input ends.
JOB = """
import logging, os, sys, time
from pathlib import Path
from dfdc.system.jobs.leases import lease

logging.basicConfig(level=logging.INFO, format="%(message)s")
count, marks, seconds = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
with lease(count, poll=0.05) as gpus:
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(gpus), gpus
    for gpu in gpus:
        os.close(os.open(marks / gpu, os.O_CREAT | os.O_EXCL))
    print("leased", *gpus, flush=True)
    time.sleep(float(seconds)) if seconds else sys.stdin.read()
    for gpu in gpus:
        (marks / gpu).unlink()
"""


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine of 8 GPUs whose lock files are of this test alone."""
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DFDC_GPUS", "0,1,2,3,4,5,6,7")
    monkeypatch.setenv("DFDC_GPU_LOCKS", str(tmp_path / "locks"))
    (tmp_path / "marks").mkdir()


@pytest.fixture
def start(tmp_path):
    """Start a job of so many GPUs, which holds them for so many seconds or until its input is closed."""
    with contextlib.ExitStack() as started:

        def start(count, seconds=""):
            command = [sys.executable, "-c", JOB, str(count), str(tmp_path / "marks"), str(seconds)]
            environment = {**os.environ, "PYTHONPATH": str(LIBRARY.parent)}
            pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
            job = started.enter_context(subprocess.Popen(command, env=environment, text=True, **pipes))
            started.callback(job.kill)
            return job

        yield start


def leased_by(job):
    word, *gpus = job.stdout.readline().split()
    assert word == "leased"
    return gpus


def test_twenty_jobs_on_eight_gpus_never_share_one(start):
    jobs = [start(1 + number % 2, 0.2) for number in range(20)]
    for number, job in enumerate(jobs):
        said, errors = job.communicate(timeout=600)
        assert job.returncode == 0, errors
        gpus = said.split()[1:]
        assert len(set(gpus)) == 1 + number % 2
        assert set(gpus) <= set("01234567")
    with lease(8) as gpus:
        assert gpus == list("01234567")


def test_what_is_held_is_free_after_kill_9(start, tmp_path):
    job = start(8)
    leased_by(job)
    job.kill()
    job.wait()
    for mark in (tmp_path / "marks").iterdir():
        mark.unlink()
    with lease(8) as gpus:
        assert len(gpus) == 8


def test_waiting_says_for_what_and_whom(start):
    first, second = start(6), start(2)
    assert sorted(leased_by(first) + leased_by(second)) == list("01234567")
    third = start(2)
    message = third.stderr.readline()
    assert message.startswith("waiting for 2 GPUs: all 8 in use by process ")
    assert set(re.findall("process ([0-9]+)", message)) == {str(first.pid), str(second.pid)}
    second.communicate(timeout=600)
    assert len(leased_by(third)) == 2


def test_a_job_that_needs_more_than_is_free_holds_nothing_while_it_waits(start):
    leased_by(start(7))
    waiting = start(2)
    assert "1 of 8 free, the others in use by process" in waiting.stderr.readline()
    with lease(1) as gpus:
        assert len(gpus) == 1
    assert waiting.poll() is None


def test_a_job_that_waits_can_be_stopped(start):
    leased_by(start(8))
    waiting = start(1)
    waiting.stderr.readline()
    waiting.send_signal(signal.SIGINT)
    waiting.communicate(timeout=600)
    assert waiting.returncode != 0


def test_more_than_there_are_is_all_of_them(monkeypatch):
    monkeypatch.setenv("DFDC_GPUS", "0,1")
    with lease(3) as gpus:
        assert gpus == ["0", "1"]


@pytest.mark.parametrize(
    ("visible", "leased"),
    [("2,5", ["2", "5"]), ("5,2", ["5", "2"]), ("3", ["3"]), ("", []), ("-1", []), ("1,-1,2", ["1"]), ("9,1", [])],
)
def test_only_gpus_that_the_user_shows_are_leased(monkeypatch, visible, leased):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with lease(2) as gpus:
        assert gpus == leased
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


def test_jobs_that_see_others_in_common_do_not_share_them(monkeypatch, start):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    assert leased_by(start(1)) == ["1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    with lease(2) as gpus:
        assert gpus == ["0", "2"]


def test_jobs_of_other_allocations_of_slurm_do_not_compete(monkeypatch, start, tmp_path):
    """In each of them SLURM may number the GPUs from 0. What they lock is gone when they end."""
    leased_by(start(8))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with lease(2) as gpus:
        assert gpus == ["0", "1"]
        monkeypatch.setenv("SLURM_JOB_ID", "2")
        with lease(2) as gpus:
            assert gpus == ["0", "1"]
        monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert not list((tmp_path / "locks").glob("slurm*"))


def test_two_jobs_in_an_allocation_of_one_gpu_take_turns(monkeypatch, start):
    """As when a Snakemake in an `salloc` starts them."""
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    first = start(1)
    assert leased_by(first) == ["4"]
    second = start(1)
    # It would say on stdout that it has leased one.
    assert select([second.stdout, second.stderr], [], [], 600)[0] == [second.stderr]
    assert "waiting for 1 GPU: all 1 in use by process" in second.stderr.readline()
    first.stdin.close()
    assert leased_by(second) == ["4"]


def test_jobs_in_one_allocation_of_slurm_share_it_out(monkeypatch, start):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert leased_by(start(1)) == ["4"]
    with lease(1) as gpus:
        assert gpus == ["5"]


def test_a_machine_without_gpus(monkeypatch, tmp_path):
    monkeypatch.delenv("DFDC_GPUS")
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi
    with lease(1) as gpus:
        assert gpus == []
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert not (tmp_path / "locks").exists()


def test_nvidia_smi_is_asked(monkeypatch, tmp_path):
    monkeypatch.delenv("DFDC_GPUS")
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A (UUID: GPU-a)'\necho 'GPU 1: NVIDIA A (UUID: GPU-b)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with lease(1) as gpus:
        assert gpus == ["GPU-a"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-a")
    assert visible_devices() == ["GPU-b", "GPU-a"]
    program.write_text("#!/bin/sh\necho 'Failed to initialize NVML'\nexit 9\n")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_devices() == []


def test_a_divided_gpu_is_its_parts():
    listed = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-0a)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-1a)
  MIG 3g.20gb     Device  0: (UUID: MIG-1b)
  MIG 3g.20gb     Device  1: (UUID: MIG-1c)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-2a)
"""
    assert devices_listed(listed) == {"0": "GPU-0a", "1": "MIG-1b", "2": "MIG-1c", "3": "GPU-2a"}


@given(st.lists(st.integers(0, 7), unique=True), st.sampled_from([",", " , ", ", "]))
def test_any_choice_of_numbers_is_what_is_visible(numbers, comma):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", comma.join(map(str, numbers)))
        patch.setenv("DFDC_GPUS", ",".join(f"GPU-{letter}" for letter in "abcdefgh"))
        assert visible_devices() == [f"GPU-{'abcdefgh'[number]}" for number in numbers]


def test_a_folder_that_cannot_be_used_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DFDC_GPU_LOCKS", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"lock files in .*file.*DFDC_GPU_LOCKS"), lease(1):
        pass


def test_other_users_can_use_the_lock_files(tmp_path):
    with lease(1):
        pass
    folder = tmp_path / "locks"
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == {"mutex": 0o666, "0": 0o666}


def test_lock_files_are_no_way_to_write_elsewhere(tmp_path):
    (tmp_path / "precious").write_text("text")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/0").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError), lease(1):
        pass
    assert (tmp_path / "precious").read_text() == "text"


def test_devices_of_jobs_without_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv(PRETENDED, "yes")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for wanted, gpus in (("auto", 0), ("cpu", 1), ("auto", 1)):
        assert not (tmp_path / "locks").exists()
        with job_devices(wanted, gpus) as devices:
            assert devices == [torch.device("cpu")]
    assert (tmp_path / "locks").exists()
    with job_device("auto", 2) as device:
        assert device == torch.device("cpu")
    for gpus in (0, 1):
        with pytest.raises(UserError, match="torch finds no GPU"), job_devices("cuda", gpus):
            pass


def test_devices_are_not_chosen_after_cuda_is_in_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(RuntimeError, match="already initialised"), job_devices("auto", 1):
        pass


def test_leasing_needs_no_torch():
    """It must be over before CUDA is looked at, so it is well away from it."""
    program = "import sys, dfdc.system.jobs.leases; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY.parent)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_the_lease_is_in_the_log(caplog):
    caplog.set_level(logging.INFO, leases.logger.name)
    with lease(2):
        pass
    assert caplog.messages == ["GPUs: 0, 1"]


@pytest.mark.parametrize(
    ("gpu", "gres", "number"),
    [
        (2, None, 2),
        (0, None, 0),
        (0, "gpu", 1),
        (0, "gpu:2", 2),
        (0, "gpu:a100", 1),
        (0, "gpu:a100:4", 4),
        (0, "nvme:1", 0),
    ],
)
def test_gpus_are_requested_by_number_or_as_gres(gpu, gres, number):
    assert requested_gpus(ResourceList(fromdict={"gpu": gpu} | ({"gres": gres} if gres else {}))) == number


def test_a_leased_gpu_that_torch_does_not_see_is_an_error(monkeypatch, tmp_path):
    """Not a training that runs on the CPU for a year without a word."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("DFDC_GPUS", "0")
    monkeypatch.setenv("DFDC_GPU_LOCKS", str(tmp_path))
    with (
        pytest.raises(UserError, match=r"torch .* finds none.*set speed\.device in the config to cpu"),
        job_devices("auto", 1),
    ):
        pass
    with job_devices("cpu", 1) as devices:
        assert devices == [torch.device("cpu")]
