import hashlib

import pytest

from dfdc.system.files import atomic_path, sha256, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "folder" / "file"
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        assert temporary.parent == path.parent  # a rename within one file system
        assert not path.exists()
    assert path.read_text() == "half"
    assert names(path.parent) == ["file"]


def write_and_raise(path, error):
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    with pytest.raises(error):
        write_and_raise(path, error)
    assert names(tmp_path) == []
    path.write_text("old")
    with pytest.raises(error):
        write_and_raise(path, error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "file"):
        pass
    assert names(tmp_path) == []


def test_text_is_utf_8_and_replaces(tmp_path):
    write_text(tmp_path / "a", "first")
    write_text(tmp_path / "a", "größer\n")
    assert (tmp_path / "a").read_bytes() == "größer\n".encode()


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    content = bytes(range(256)) * 9000
    (tmp_path / "b").write_bytes(content)
    assert sha256(tmp_path / "b") == hashlib.sha256(content).hexdigest()


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / ".table[1].parquet.4242.part").write_bytes(b"half")
    (tmp_path / ".table[2].parquet.4242.part").write_bytes(b"another file's")
    write_text(tmp_path / "table[1].parquet", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".table[2].parquet.4242.part", "table[1].parquet"]


def test_a_name_as_long_as_names_can_be(tmp_path):
    for name in ("x" * 255, "é" * 127, "😀" * 63 + ".py"):
        with atomic_path(tmp_path / name) as temporary:
            temporary.write_text("content")
        assert (tmp_path / name).read_text() == "content"
    assert len(list(tmp_path.iterdir())) == 3
