"""The folder of a training's checkpoints, and those that other code has left beside it."""

import ast
import subprocess
from pathlib import Path

import pytest

from dfdc.stages.training.checkpoint import checkpoints, prepare_folder

TRAIN = Path(__file__).resolve().parents[2] / "workflow/scripts/train.py"
CODE = {"dfdc": "1", "dfdc.data.seeding": "2"}


@pytest.fixture
def earlier(tmp_path):
    """A folder that earlier code has trained in, up to iteration 57."""
    folder = tmp_path / "re" / "aaaa-1111"
    prepare_folder(folder, CODE | {"dfdc.data.seeding": "1"})
    (folder / "checkpoint_00000057.safetensors").touch()
    return folder


def test_checkpoints_of_other_code_are_told_with_a_way_to_go_on(earlier, caplog):
    folder = earlier.with_name("aaaa-2222")
    prepare_folder(folder, CODE)
    (message,) = caplog.messages
    assert "Other code has reached iteration 57" in message
    assert "what has changed since: dfdc.data.seeding)" in message
    subprocess.run(message.splitlines()[-1], shell=True, check=True)
    assert [path.name for path in checkpoints(folder)] == ["checkpoint_00000057.safetensors"]
    caplog.clear()
    prepare_folder(folder, CODE)
    assert not caplog.messages


def test_checkpoints_of_another_training_are_not(earlier, caplog):
    prepare_folder(earlier.with_name("bbbb-2222"), CODE)
    assert not caplog.messages


def test_nothing_is_told_once_this_code_has_a_checkpoint_itself(earlier, caplog):
    folder = earlier.with_name("aaaa-2222")
    prepare_folder(folder, CODE)
    (folder / "checkpoint_00000001.safetensors").touch()
    caplog.clear()
    prepare_folder(folder, CODE)
    assert not caplog.messages


@pytest.mark.parametrize("content", [None, "", "[1]", "null", "{"])
def test_a_record_of_the_code_that_is_gone_or_damaged(earlier, caplog, content):
    (earlier / "code.json").unlink()
    if content is not None:
        (earlier / "code.json").write_text(content)
    prepare_folder(earlier.with_name("aaaa-2222"), CODE)
    assert "Other code has reached iteration 57" in caplog.text
    assert "what has changed" not in caplog.text


def test_another_version_of_the_training_is_another_training():
    """Its folder has another name, so no checkpoints of it are used or offered."""
    assigned = [node for node in ast.walk(ast.parse(TRAIN.read_text())) if isinstance(node, ast.Assign)]
    (fingerprint,) = (node.value for node in assigned if ast.unparse(node.targets) == "fingerprint")
    assert "TRAINING_VERSION" in {node.id for node in ast.walk(fingerprint) if isinstance(node, ast.Name)}
