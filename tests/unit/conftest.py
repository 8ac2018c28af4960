import logging

import cv2
import numpy as np
import pytest
import torch

from dfdc.demo.sources import fetch_sources
from nodes import python


@pytest.fixture(scope="session")
def sources():
    """The pictures that the demo is made of, by name."""
    return fetch_sources()


@pytest.fixture(scope="session")
def astronaut(sources) -> np.ndarray:
    """A photo of a woman, 512 x 512 pixels."""
    return cv2.cvtColor(cv2.imread(str(sources["astronaut"])), cv2.COLOR_BGR2RGB)


@pytest.fixture
def job_folder(tmp_path, monkeypatch):
    """A working directory for a job in this process; afterwards logging is as it was."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = root.handlers, root.level, logging.raiseExceptions
    yield tmp_path
    root.handlers, root.level, logging.raiseExceptions = before
    logging.captureWarnings(False)


@pytest.fixture
def started():
    """Gives a function that starts a program (see ``nodes.python``) and waits until it has said something."""
    processes = []

    def start(program, *arguments, **environment):
        processes.append(python(program, *arguments, **environment))
        processes[-1].said = processes[-1].stdout.readline().strip()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The networks here are small, and on a busy machine threads that wait for each other are slow."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
