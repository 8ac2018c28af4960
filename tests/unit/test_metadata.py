"""metadata.json files that cannot be meant are refused before any work, with all faults at once."""

import json
import os

import pytest

from dfdc.data.parts import LONGEST_NAME, fingerprint, fingerprint_part, read_metadata, shard_of
from dfdc.system.errors import UserError

REAL = {"label": "REAL"}


def write(folder, content):
    path = folder / "metadata.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../../x.mp4", "is not that of a file in the part"),
        ("/etc/passwd", "is not that of a file in the part"),
        ("./r.mp4", "is not that of a file in the part"),
        ("sub/r.mp4", "is not that of a file in the part"),
        ("", "is not that of a file in the part"),
        (".", "is not that of a file in the part"),
        ("..", "is not that of a file in the part"),
        ("a\0.mp4", "is not that of a file in the part"),
        ("x" * 300, f"has more than {LONGEST_NAME} bytes"),
        ("é" * 128, f"has more than {LONGEST_NAME} bytes"),
        ("\ud800.mp4", "has characters that do not exist"),
    ],
)
def test_keys_that_are_no_file_names(tmp_path, name, said):
    with pytest.raises(UserError, match=said):
        read_metadata(write(tmp_path, {"r.mp4": REAL, name: REAL}))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"r.mp4": REAL | {"original": 5}}, "has the original 5, which is not a name"),
        ({"r.mp4": REAL, "f.mp4": {"label": "FAKE"}}, "is FAKE but has no original"),
        ({"r.mp4": REAL, "f.mp4": {"label": "FAKE", "original": ["r.mp4"]}}, "which is not a REAL video"),
        ({"r.mp4": "REAL"}, "needs a label"),
        ([1], "must be an object"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"a.mp4": {"label": "REAL"}, "a.mp4": {"label": "FAKE", "original": "a.mp4"}}', "several entries"),
        ("\x00", "is not valid JSON"),
        ("", "is not valid JSON"),
    ],
)
def test_other_faults(tmp_path, content, said):
    with pytest.raises(UserError, match=said):
        read_metadata(write(tmp_path, content))


def test_some_originals_may_be_absent_but_not_all(tmp_path):
    fakes = {f"f{number}.mp4": {"label": "FAKE", "original": f"r{number}.mp4"} for number in range(3)}
    content = {"r0.mp4": REAL, **fakes}
    assert read_metadata(write(tmp_path, content)) == content
    del content["r0.mp4"]
    with pytest.raises(UserError, match=r"'f2\.mp4' has the original r2\.mp4, which is not a REAL video"):
        read_metadata(write(tmp_path, content))


def test_all_faults_are_told_at_once(tmp_path):
    content = {"r.mp4": REAL, "../x": REAL, "a.mp4": {}, "b.mp4": {"label": "FAKE"}}
    content |= {f"c{number}.mp4": {} for number in range(6)}
    with pytest.raises(UserError) as caught:
        read_metadata(write(tmp_path, content))
    for said in ("'a.mp4'", "'b.mp4'", "and 4 more"):
        assert said in str(caught.value)


def test_the_same_entry_twice_is_no_fault(tmp_path):
    assert read_metadata(write(tmp_path, '{"a.mp4": {"label": "REAL"}, "a.mp4": {"label": "REAL"}}')) == {"a.mp4": REAL}


def test_a_folder_a_pipe_and_a_loop_of_links(tmp_path):
    path = tmp_path / "metadata.json"
    path.mkdir()
    with pytest.raises(UserError, match="it is not a file"):
        read_metadata(path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(UserError, match="it is not a file"):
        read_metadata(path)
    with pytest.raises(OSError, match="not a file"):
        fingerprint_part(tmp_path)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(UserError, match=r"metadata\.json"):
        read_metadata(path)


def test_test_videos_that_are_no_files_are_fingerprinted_by_name(tmp_path):
    os.mkfifo(tmp_path / "x.mp4")
    (tmp_path / "y.mp4").mkdir()
    odd = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    odd.touch()
    first = fingerprint([tmp_path / "x.mp4", tmp_path / "y.mp4", odd])
    assert first != fingerprint([tmp_path / "x.mp4", tmp_path / "y.mp4"])
    assert 0 <= shard_of(odd.name, 7) < 7
