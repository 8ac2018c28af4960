import os
import signal
import subprocess
import sys

import pytest
import torch
from torch import nn

from dfdc.checkpoint import exclusive, load_checkpoint, save_checkpoint
from dfdc.errors import UserError
from dfdc.provenance import LIBRARY


def made(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 1))
    model.to(memory_format=torch.channels_last)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)


def step(model, optimizer, number):
    images = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(number))
    optimizer.zero_grad()
    model(images).square().mean().backward()
    optimizer.step()


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items()) and one.keys() == other.keys()


def test_a_restored_training_goes_on_to_the_bit(tmp_path):
    model, optimizer = made()
    for number in range(3):
        step(model, optimizer, number)
    metrics = {"loss": torch.tensor([1.5, float("nan"), 2.0])}
    save_checkpoint(tmp_path / "c", 3, model, optimizer, metrics)
    restored, its_optimizer = made(seed=9)
    iteration, found = load_checkpoint(tmp_path / "c", restored, its_optimizer)
    assert iteration == 3
    assert found["loss"].tolist()[::2] == [1.5, 2.0]
    assert same(model.state_dict(), restored.state_dict())
    for number in range(3, 6):
        step(model, optimizer, number)
        step(restored, its_optimizer, number)
    assert same(model.state_dict(), restored.state_dict())


def test_momentum_of_some_parameters_only(tmp_path):
    model, optimizer = made()
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    step(model, optimizer, 0)
    save_checkpoint(tmp_path / "c", 1, model, optimizer, {})
    restored, its_optimizer = made(seed=9)
    load_checkpoint(tmp_path / "c", restored, its_optimizer)
    assert [bool(its_optimizer.state.get(parameter)) for parameter in restored.parameters()] == [False] * 2 + [True] * 4


def test_the_first_start(tmp_path):
    model, optimizer = made()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert load_checkpoint(tmp_path / "absent", model, optimizer) == (0, {})
    assert same(before, model.state_dict())


def test_a_damaged_checkpoint(tmp_path):
    model, optimizer = made()
    save_checkpoint(tmp_path / "c", 1, model, optimizer, {})
    whole = (tmp_path / "c").read_bytes()
    for content in (b"", b"something else entirely", whole[:-10], whole[: len(whole) // 2]):
        (tmp_path / "c").write_bytes(content)
        with pytest.raises(UserError, match=r"checkpoint .*c is damaged \(.*Delete it"):
            load_checkpoint(tmp_path / "c", model, optimizer)


def test_a_checkpoint_replaces_the_last_one_at_once(tmp_path):
    model, optimizer = made()
    save_checkpoint(tmp_path / "c", 1, model, optimizer, {})
    save_checkpoint(tmp_path / "c", 2, model, optimizer, {})
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert load_checkpoint(tmp_path / "c", model, optimizer)[0] == 2


def enter(folder):
    with exclusive(folder):
        pass


def test_one_at_a_time(tmp_path):
    folder = tmp_path / "new" / "folder"
    with exclusive(folder), pytest.raises(UserError, match=rf"already running \(process {os.getpid()} on .*last check"):
        enter(folder)
    enter(folder)
    with pytest.raises(KeyError), exclusive(folder):
        raise KeyError
    enter(folder)


def test_the_lock_goes_with_its_process(tmp_path):
    program = (
        "import sys; from pathlib import Path; from dfdc.checkpoint import exclusive\n"
        "with exclusive(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        env={"PYTHONPATH": str(LIBRARY.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout.readline() == b"in\n"
    with pytest.raises(UserError, match=f"process {other.pid} on"):
        enter(tmp_path)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    enter(tmp_path)
