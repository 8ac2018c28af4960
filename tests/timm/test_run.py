"""The smallest demo with two networks of timm, one of them pretrained: trained, exported, scored."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file

import timm
from dfdc.networks.weights.files import read_weights_metadata

ROOT = Path(__file__).resolve().parents[2]
CONFTEST = Path(__file__).parent / "conftest.py"


def test_a_run(tmp_path):
    torch.manual_seed(0)
    file = tmp_path / "model.safetensors"
    save_file(timm.create_model("test_resnet", pretrained=False).state_dict(), file)
    changes = {
        "models": {
            "large_crop": {"architecture": "timm/test_resnet"},
            "re": None,
            "seq": {"architecture": "timm/test_convnext"},
        },
        "pretrained": {"timm/test_resnet": str(file), "timm/test_convnext": None},
    }
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(changes))
    # What conftest.py does for this process, for those of the jobs.
    site = tmp_path / "site"
    site.mkdir()
    shutil.copy(CONFTEST, site / "sitecustomize.py")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--cores", "2", "submission.csv", "--profile", "profiles/demo"),
            *("--directory", str(tmp_path / "run"), "--configfile", "profiles/demo/settings.yaml", "tests/tiny.yaml"),
            str(tmp_path / "settings.yaml"),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{site}:{ROOT / 'lib'}:{os.environ['PYTHONPATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    models = tmp_path / "run" / "results" / "models"
    for name, architecture in (("large_crop", "timm/test_resnet"), ("seq", "timm/test_convnext")):
        assert read_weights_metadata(models / name / "weights.fp16.safetensors")["architecture"] == architecture
    rows = (tmp_path / "run" / "submission.csv").read_text().splitlines()
    assert len(rows) > 1
