"""Hashes that are remembered from one plan to the next: never longer than what they were made of."""

import os
from pathlib import Path

import pytest

from dfdc.data.parts import fingerprint
from dfdc.system.jobs.provenance import LIBRARY, code_of
from dfdc.system.jobs.records import hashes
from dfdc.system.jobs.records.hashes import Hashes
from nodes import wait_for_tick

SCRIPT = LIBRARY.parents[1] / "workflow/scripts/build_tracks.py"


class Counted:
    """What makes values, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, *_):
        self.times += 1
        return self.times


@pytest.fixture
def settled(monkeypatch):
    """Files count as settled at once."""
    monkeypatch.setattr(hashes, "SETTLED", 0.0)


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / name for name in ("a.mp4", "b.mp4")]
    for path in paths:
        path.write_bytes(b"1234")
    wait_for_tick(tmp_path)
    return paths


def next_plan(folder: Path, before: Hashes) -> Hashes:
    before.save()
    return Hashes(folder / "hashes.json")


def test_of_the_same_content_one_hash_is_made(tmp_path):
    make, plan = Counted(), Hashes(tmp_path / "hashes.json")
    for _ in range(3):
        assert plan.of_content(b"x", "hash 1", make) == 1
        plan = next_plan(tmp_path, plan)
    assert plan.of_content(b"x", "hash 2", make) == 2  # another way to make it
    assert plan.of_content(b"y", "hash 1", make) == 3


def test_of_unchanged_files_one_hash_is_made(tmp_path, files, settled):
    make, plan = Counted(), Hashes(tmp_path / "hashes.json")
    for _ in range(3):
        assert plan.of_files(files, "hash 1", make) == 1
        plan = next_plan(tmp_path, plan)
    assert plan.of_files(files, "hash 2", make) == 2
    assert plan.of_files(files[:1], "hash 1", make) == 3


def rewritten(path):
    path.write_bytes(b"5678")


def replaced(path):
    path.with_suffix(".new").write_bytes(b"5678")
    path.with_suffix(".new").replace(path)


def rewritten_in_place(path):
    with path.open("r+b") as file:
        file.write(b"56")


def moved(path):
    path.rename(path.with_name("z.mp4"))


@pytest.mark.parametrize("change", [rewritten, replaced, rewritten_in_place, moved, Path.unlink])
def test_every_change_is_seen_though_size_and_time_stay(tmp_path, files, settled, change):
    def print_of(paths):
        return Hashes(tmp_path / "hashes.json").of_files(paths, "hash", lambda doubt: fingerprint(paths))

    plan, before = Hashes(tmp_path / "hashes.json"), files[0].stat()
    plan.of_files(files, "hash", lambda doubt: fingerprint(files))
    plan.save()
    assert print_of(files) == fingerprint(files)
    change(files[0])
    after = sorted(tmp_path.glob("*.mp4"))
    for path in after:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert print_of(after) == fingerprint(after)
    assert print_of(files) == fingerprint(files)


def test_what_has_just_changed_may_change_again(tmp_path, files):
    make, plan = Counted(), Hashes(tmp_path / "hashes.json")
    assert [plan.of_files(files, "hash", make) for _ in range(2)] == [1, 2]


def test_what_cannot_be_read_may_be_readable_next_time(tmp_path, files, settled):
    make, plan = Counted(), Hashes(tmp_path / "hashes.json")

    def failing(doubt):
        doubt(OSError("the disk is away"))
        return make()

    assert plan.of_files(files, "hash", failing) == 1
    assert next_plan(tmp_path, plan).of_files(files, "hash", make) == 2
    odd = [tmp_path, tmp_path / "none.mp4"]
    for path in odd:
        assert plan.of_files([path], "hash", make) != plan.of_files([path], "hash", make)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"hash 1": "x"'])
def test_a_damaged_file_is_none(tmp_path, content):
    (tmp_path / "hashes.json").write_bytes(content)
    make, plan = Counted(), Hashes(tmp_path / "hashes.json")
    assert plan.of_content(b"x", "hash", make) == 1
    assert next_plan(tmp_path, plan).of_content(b"x", "hash", make) == 1


def test_what_was_used_last_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(hashes, "MOST", 3)
    make, plan = Counted(), Hashes(tmp_path / "hashes.json")
    for contents in (b"abc", b"ad"):
        for content in contents:
            plan.of_content(bytes([content]), "hash", make)
        plan = next_plan(tmp_path, plan)
    assert [plan.of_content(content, "hash", make) for content in (b"a", b"c", b"d", b"b")] == [1, 3, 4, 5]


def test_a_full_disk_is_no_fault(tmp_path):
    (tmp_path / "file").touch()
    plan = Hashes(tmp_path / "file" / "hashes.json")
    plan.of_content(b"x", "hash", Counted())
    plan.save()


def test_remembered_code_is_the_code(tmp_path):
    plan = Hashes(tmp_path / "hashes.json")
    for _ in range(2):
        assert code_of(SCRIPT, hashes=plan) == code_of(SCRIPT)
        plan = next_plan(tmp_path, plan)
    assert (tmp_path / "hashes.json").stat().st_size > 1000
