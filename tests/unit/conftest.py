import cv2
import numpy as np
import pytest
import torch

from dfdc.demo.sources import fetch_sources


@pytest.fixture(scope="session")
def sources():
    """The pictures that the demo is made of, by name."""
    return fetch_sources()


@pytest.fixture(scope="session")
def astronaut(sources) -> np.ndarray:
    """A photo of a woman, 512 x 512 pixels."""
    return cv2.cvtColor(cv2.imread(str(sources["astronaut"])), cv2.COLOR_BGR2RGB)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The networks here are small, and on a busy machine threads that wait for each other are slow."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
