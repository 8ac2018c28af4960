import os
import signal

import pytest
import torch
from torch import nn

from dfdc.stages.training import checkpoint
from dfdc.stages.training.averaging import MovingAverage
from dfdc.stages.training.checkpoint import (
    TrainingState,
    checkpoints,
    exclusive,
    keep_newest,
    load_checkpoint,
    read_result,
    save_checkpoint,
)
from dfdc.system.errors import UserError
from dfdc.system.locks.heartbeats import RHYTHM, Rhythm
from nodes import ELSEWHERE, python, written


def made(seed=0, average=False):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 1))
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    averaged = MovingAverage(model, 0.7) if average else None
    return TrainingState(model, optimizer, averaged)


def step(state, number):
    images = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(number))
    state.optimizer.zero_grad()
    state.model(images).square().mean().backward()
    state.optimizer.step()
    if state.average is not None:
        state.average.update_parameters(state.model)


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items()) and one.keys() == other.keys()


@pytest.mark.parametrize("average", [False, True])
def test_a_restored_training_goes_on_to_the_bit(tmp_path, average):
    state, restored = made(average=average), made(seed=9, average=average)
    for number in range(3):
        step(state, number)
    save_checkpoint(tmp_path, 3, state, {"loss": torch.tensor([1.5, float("nan"), 2.0])}, keep=1)
    iteration, found = load_checkpoint(tmp_path, restored)
    assert iteration == 3
    assert found["loss"].tolist()[::2] == [1.5, 2.0]
    assert same(state.model.state_dict(), restored.model.state_dict())
    for number in range(3, 6):
        step(state, number)
        step(restored, number)
    assert same(state.model.state_dict(), restored.model.state_dict())
    assert same(state.result(), restored.result())
    assert same(state.result(), state.model.state_dict()) is not average


def test_the_result_is_the_average_if_there_is_one(tmp_path):
    for average in (False, True):
        state = made(average=average)
        for number in range(3):
            step(state, number)
        save_checkpoint(tmp_path / str(average), 3, state, {"loss": torch.ones(3)}, keep=1)
        weights, records = read_result(tmp_path / str(average))
        assert same(weights, state.result())
        assert records["loss"].tolist() == [1, 1, 1]


def test_momentum_of_some_parameters_only(tmp_path):
    state, restored = made(), made(seed=9)
    for parameter in state.model[0].parameters():
        parameter.requires_grad_(False)
    step(state, 0)
    save_checkpoint(tmp_path, 1, state, {}, keep=1)
    load_checkpoint(tmp_path, restored)
    found = [bool(restored.optimizer.state.get(parameter)) for parameter in restored.model.parameters()]
    assert found == [False] * 2 + [True] * 4


def test_the_first_start(tmp_path):
    state = made()
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    assert load_checkpoint(tmp_path, state) == (0, {})
    assert same(before, state.model.state_dict())


BROKEN = {
    "empty": lambda whole: b"",
    "something else": lambda whole: b"something else entirely",
    "cut": lambda whole: whole[:-10],
    "half": lambda whole: whole[: len(whole) // 2],
    "a bit of its header": lambda whole: whole[:40] + bytes([whole[40] ^ 4]) + whole[41:],
    "a bit of a tensor": lambda whole: whole[:-5] + bytes([whole[-5] ^ 4]) + whole[-4:],
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_damaged_checkpoint(tmp_path, caplog, kind):
    state = made()
    for number in (1, 2):
        step(state, number)
        save_checkpoint(tmp_path, number, state, {}, keep=2)
    newest, older = checkpoints(tmp_path)
    damaged = BROKEN[kind](newest.read_bytes())
    newest.write_bytes(damaged)
    assert load_checkpoint(tmp_path, made())[0] == 1
    assert f"The checkpoint {newest} is damaged" in caplog.text
    assert "The previous one is used" in caplog.text
    older.write_bytes(damaged)
    with pytest.raises(
        UserError, match=r"checkpoint .*02\.safetensors is damaged \(.*checkpoint .*01\.saf.*Delete the damaged"
    ):
        load_checkpoint(tmp_path, made())


def test_the_newest_checkpoints_are_kept(tmp_path):
    state = made()
    for number in (5, 10, 100, 20_000):
        save_checkpoint(tmp_path, number, state, {}, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == [
        "checkpoint_00020000.safetensors",
        "checkpoint_00000100.safetensors",
    ]
    assert load_checkpoint(tmp_path, state)[0] == 20_000
    (tmp_path / "best.safetensors").touch()
    keep_newest(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "checkpoint_00020000.safetensors"]
    assert load_checkpoint(tmp_path, made(seed=9))[0] == 20_000


def enter(folder, rhythm=RHYTHM):
    with exclusive(folder, rhythm):
        pass


def test_one_at_a_time(tmp_path):
    folder = tmp_path / "new" / "folder"
    with exclusive(folder), pytest.raises(UserError, match=rf"already running \(process {os.getpid()} on .*last check"):
        enter(folder)
    enter(folder)
    with pytest.raises(KeyError), exclusive(folder):
        raise KeyError
    enter(folder)


ENTER = (
    "import sys; from pathlib import Path; from dfdc.stages.training.checkpoint import exclusive\n"
    "from dfdc.system.locks.heartbeats import Rhythm\n"
    "with exclusive(Path(sys.argv[1]), Rhythm(0.1, 60.0)): print('in', flush=True); sys.stdin.read()"
)


def test_the_lock_goes_with_its_process(tmp_path):
    other = python(ENTER, tmp_path)
    assert other.stdout.readline() == "in\n"
    with pytest.raises(UserError, match=f"process {other.pid} on"):
        enter(tmp_path)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    enter(tmp_path)


def test_one_machine_at_a_time(tmp_path):
    """On a disk where flock is no obstacle to other machines."""
    other = python(ELSEWHERE + ENTER, tmp_path)
    assert other.stdout.readline() == "in\n"
    (tmp_path / ".checkpoint_00000002.safetensors.41.part").touch()
    with pytest.raises(UserError, match=rf"already running \(process {other.pid} on node7, last heartbeat .* in "):
        enter(tmp_path, Rhythm(0.1, 60.0))
    assert list(tmp_path.glob(".*.part"))
    other.kill()
    other.communicate()
    enter(tmp_path, Rhythm(0.1, 1.0))
    assert not list(tmp_path.glob(".*.part"))


def test_who_has_lost_the_folder_writes_no_checkpoint(tmp_path, monkeypatch):
    """It was suspended before or while it wrote."""
    state = made()
    written(tmp_path / "lock-000007", age=3600)

    def save(iteration):
        with pytest.raises(UserError, match=r"no longer holds the lock .*process 41 on node7, .*was suspended"):
            save_checkpoint(tmp_path, iteration, state, {}, keep=1, lock=lock)

    with exclusive(tmp_path, Rhythm(0.1, 1.0)) as lock:
        save_checkpoint(tmp_path, 2, state, {}, keep=1, lock=lock)
        taken = tmp_path / "lock-000009"
        monkeypatch.setattr(checkpoint, "write_tensors", lambda *_, **__: written(taken))
        save(4)
        monkeypatch.setattr(checkpoint, "write_tensors", None)
        save(6)
        taken.unlink()
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint_00000002.safetensors"]
    assert not list(tmp_path.glob(".*.part"))
