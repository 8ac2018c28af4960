"""Copies on a disk of the machine, and what happens without room for them."""

import contextlib
import logging
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from dfdc.system import scratch
from dfdc.system.scratch import local_copies


@pytest.fixture
def files(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "scratch").mkdir()
    places = {part: tmp_path / f"shared/{part}.arrow" for part in ("a", "b")}
    for part, place in places.items():
        place.write_text(part)
    return places


def test_a_folder_is_removed_at_its_end_and_what_a_killed_process_left_by_the_next(tmp_path):
    code = (
        "import os, sys; from dfdc.system.scratch import temporary_folder\n"
        "with temporary_folder('dfdc-test-', sys.argv[1]) as folder:\n"
        "    (folder / 'face.png').touch(); print(folder, flush=True); sys.stdin.read(); os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
        left = Path(killed.stdout.readline().strip())
        with scratch.temporary_folder("dfdc-test-", tmp_path) as folder:
            assert left.is_dir()  # it is alive
            assert folder.is_dir()
        assert not folder.exists()
        assert (left / "face.png").exists()
        killed.stdin.close()
        killed.wait()
    with scratch.temporary_folder("dfdc-test-", tmp_path):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_files_are_copied_and_the_copies_removed(files, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, scratch.logger.name)
    monkeypatch.setenv("NODE", str(tmp_path / "scratch"))
    with contextlib.suppress(KeyboardInterrupt), local_copies(files, "$NODE") as copies:
        assert {part: place.read_text() for part, place in copies.items()} == {"a": "a", "b": "b"}
        assert all(place.is_relative_to(tmp_path / "scratch") for place in copies.values())
        raise KeyboardInterrupt
    assert not list((tmp_path / "scratch").iterdir())
    assert "copied 2 files" in caplog.text


def test_without_a_scratch_folder_files_are_used_where_they_are(files, tmp_path, caplog):
    with local_copies(files, None) as places:
        assert places == files
    assert not caplog.messages
    with local_copies(files, str(tmp_path / "missing")) as places:
        assert places == files
    assert "No such file" in caplog.text


def test_without_room_files_are_used_where_they_are(files, tmp_path, monkeypatch, caplog):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(scratch.SPARE))
    with local_copies(files, str(tmp_path / "scratch")) as places:
        assert places == files
    assert "1.1 GB free" in caplog.text


def test_a_disk_that_fills_up_meanwhile_is_cleared(files, tmp_path, monkeypatch, caplog):
    copy = shutil.copyfile

    def full(source, target):
        copy(source, target)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with local_copies(files, str(tmp_path / "scratch")) as places:
        assert places == files
        assert not list((tmp_path / "scratch").iterdir())
    assert "No space left" in caplog.text
