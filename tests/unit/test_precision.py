"""The number of threads of torch."""

import pytest
import torch

from dfdc.networks.precision import set_threads
from dfdc.system.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    before = torch.get_num_threads()
    for name in ("OMP_DYNAMIC", "OMP_THREAD_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    yield
    torch.set_num_threads(before)


def test_torch_gets_the_threads_of_the_settings():
    for number in (3, 1, 2):
        set_threads(CPU, number)
        assert torch.get_num_threads() == number


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_DYNAMIC", "true"), ("OMP_DYNAMIC", "TRUE"), ("OMP_THREAD_LIMIT", "1")]
)
def test_an_environment_that_could_give_fewer_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"{name} is {value} in the environment.*Unset {name}"):
        set_threads(CPU, 2)
    set_threads(CPU, 1)
    set_threads(torch.device("cuda"), 2)


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_DYNAMIC", "false"), ("OMP_THREAD_LIMIT", "2"), ("OMP_THREAD_LIMIT", "")]
)
def test_other_environments_are_not(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    set_threads(CPU, 2)
    assert torch.get_num_threads() == 2
