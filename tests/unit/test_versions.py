"""The versions of libraries in results, and what is said of results that were made with others."""

import json

import numpy as np
import pytest
import torch

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.scores import SCORES
from dfdc.data.tables import write_table
from dfdc.networks.weights.files import save_weights
from dfdc.preflight.versions import look_at_versions, other_versions, versions_of
from dfdc.system.versions import versions


@pytest.fixture
def results(tmp_path):
    """A folder with a result of each kind, written as the stages write them."""
    folder = tmp_path / "results"
    write_table(folder / "a.parquet", SCORES, [])
    write_store(folder / "b.arrow", [[encode_png(np.zeros((2, 3, 3), np.uint8))]])
    save_weights(folder / "c.safetensors", {"x": torch.ones(1)}, {"versions": versions()}, torch.float32)
    (folder / "d.json").write_text(json.dumps({"versions": versions()}))
    (folder / "e.svg").write_text("a figure")
    return folder


def test_every_kind_of_result_says_what_it_was_made_with(results):
    assert {"torch", "numpy", "av", "isal", "pillow", "efficientnet-pytorch"} <= set(versions())
    assert any(name.startswith("opencv") for name in versions())
    for name in ("a.parquet", "b.arrow", "c.safetensors", "d.json"):
        assert versions_of(results / name) == versions(), name
    assert versions_of(results / "e.svg") == {}
    assert other_versions(results) == {}
    assert list(look_at_versions(results)) == []


def test_other_versions_are_told_with_the_way_to_renew(results):
    now = versions() | {"torch": "9.0", "numpy": "8.0"}
    ((libraries, paths),) = other_versions(results, now).items()
    assert libraries == f"numpy {versions()['numpy']} (now 8.0), torch {versions()['torch']} (now 9.0)"
    assert [path.name for path in paths] == ["a.parquet", "b.arrow", "c.safetensors", "d.json"]
    (results / "d.json").write_text(json.dumps({"versions": {"torch": "1.0"}}))
    (finding,) = look_at_versions(results)
    assert finding.level == "note"
    assert f"Made with torch 1.0 (now {versions()['torch']}): {results / 'd.json'}." in finding.message
    assert f"--forcerun {results / 'd.json'}" in finding.remedy


@pytest.mark.parametrize("name", ["a.parquet", "b.arrow", "c.safetensors", "d.json"])
def test_a_damaged_result_says_nothing(results, name):
    (results / name).write_bytes(b"\x80damaged")
    assert versions_of(results / name) == {}
