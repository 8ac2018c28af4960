"""Paths with everything that a file name may have, wherever a user can choose one."""

import shutil
from pathlib import Path

import pytest
import torch

from dfdc.networks.families import build_model

# A space, a single quote, braces around a wildcard's name, a comment sign, a letter that is not ASCII.
NAME = "it's a {part} #1 {shard} é"


@pytest.fixture(scope="module")
def data(finished_run, tmp_path_factory):
    """Data of such names, and weights: the settings that name them."""
    folder = tmp_path_factory.mktemp("own") / NAME
    shutil.copytree(finished_run.demo / "data", folder)
    (folder / "test_videos").rename(folder / f"videos {NAME}")
    (folder / "test_labels.csv").rename(folder / f"labels {NAME}.csv")
    torch.save(build_model("efficientnet-lite0", "frame", (32, 32)).half().state_dict(), folder / f"{NAME}.pth")
    weights = {"weights": str(folder / f"{NAME}.pth")}
    return {
        "data": {
            "root": str(folder),
            "parts": "auto",
            "test_videos": f"videos {NAME}",
            "test_labels": f"labels {NAME}.csv",
        },
        "detection": {"train": weights, "test": weights},
        "pretrained": {"efficientnet-lite0": weights["weights"]},
        "models": {"re": weights},
    }


def test_a_clone_in_any_folder(finished_run, tmp_path):
    """Nothing runs again in a copy there, and the report is made of it."""
    project = finished_run.copy(tmp_path / NAME)
    assert project.plan() == []
    done = project.dry_run("--report", "report.html")
    assert done.returncode == 0, done.stdout
    assert (project.demo / "report.html").read_text().count("roc.svg") > 0


def test_data_and_weights_with_any_name(program, data, world):
    jobs = program.plan("all", settings=data, own_data=True)
    wanted = world.after("detect_faces", "detect_test_faces", "convert_pretrained", "export_weights")
    assert jobs == sorted(set(wanted) - {"train re"})


@pytest.mark.parametrize("key", ["root", "test_videos", "test_labels"])
def test_the_demos_data_cannot_have_braces_in_their_names(program, key):
    done = program.dry_run("all", settings={"data": {key: NAME}})
    assert done.returncode == 1
    assert NAME in done.stdout
    assert "braces" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_container_needs_its_image_in_a_folder_with_a_plain_name(finished_run, program, tmp_path):
    done = program.dry_run("--software-deployment-method", "apptainer")
    assert done.returncode == 1
    assert f"the image {program.folder / 'dfdc.sif'} does not exist" in done.stdout
    assert "docs/containers.md" in done.stdout
    project = type(program).fresh(tmp_path / "with space", program.folder)
    project.write("dfdc.sif", b"")
    assert "submission" in project.plan("submission.csv")
    done = project.dry_run("--software-deployment-method", "apptainer")
    assert done.returncode == 1
    assert "Move the clone" in done.stdout
    assert "Traceback" not in done.stdout


def test_jobs_run_in_any_folder(finished_run, program, data, tmp_path):
    project = type(program).fresh(tmp_path / NAME, program.folder)
    project.demo = tmp_path / f"work {NAME}"
    settings = project.own_data_settings()
    settings["data"] = {**settings["data"], **data["data"]}
    tracks = [Path("results/tracks/dfdc_train_part_0.parquet"), Path("results/test/tracks/0.parquet")]
    arguments = (
        "--cores",
        "2",
        "--directory",
        str(project.demo),
        "--configfile",
        project.yaml(f"{NAME}.yaml", settings),
    )
    done = project.bare_snakemake(*map(str, tracks), *arguments)
    assert done.returncode == 0, done.stdout
    for path in tracks:
        assert (project.demo / path).read_bytes() == (finished_run.demo / path).read_bytes()
