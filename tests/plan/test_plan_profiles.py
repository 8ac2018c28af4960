"""Where jobs are run, with what, and how often they are tried: no reason to run anything again. And limits hold."""

import re
from pathlib import Path

import pytest
import yaml

from dfdc.config.reading import read_config

ROOT = Path(__file__).resolve().parents[2]

TINY = ("--directory", "demo", "--configfile", "profiles/demo/settings.yaml", "tests/tiny.yaml")
WEIGHTS = [f"results/models/{model}/weights.safetensors" for model in ("large_crop", "re", "seq")]
# A script that fails for good for one part, and for another first for lack of memory, then for no known reason.
FAILS = """    import pathlib

    from dfdc.system.errors import UserError

    part, attempts = snakemake.wildcards.part, pathlib.Path("attempts")
    before = attempts.read_text().count(part) if attempts.exists() else 0
    with attempts.open("a") as file:
        print(part, snakemake.resources.mem_mb, snakemake.resources.runtime, file=file)
    if part == "dfdc_train_part_0":
        raise UserError("The file is missing.")
    if before < 2:
        raise (MemoryError(), ValueError("not yet"))[before]
"""
# A training that says how many there are beside it, and with WAIT ends only when there are three.
COUNTS = """
import os, time
from pathlib import Path

marks, mark = Path("marks"), Path("marks", snakemake.wildcards.model)
marks.mkdir(exist_ok=True)
mark.touch()
end = time.monotonic() + 120
while len(list(marks.iterdir())) < 3 and time.monotonic() < end if "WAIT" in os.environ else False:
    time.sleep(0.1)
time.sleep(1)
with Path("counts").open("a") as counts:
    print(len(list(marks.iterdir())), snakemake.threads, snakemake.resources.gpu, file=counts)
if "WAIT" not in os.environ:
    mark.unlink()
for output in snakemake.output:
    Path(output).touch()
"""


def settings_of(project, profile):
    return yaml.safe_load((project.folder / f"profiles/{profile}/config.yaml").read_text())


@pytest.mark.parametrize("arguments", [("--attempt", "3"), ("--retries", "5"), ("--resources", "gpu=1", "mem_mb=9000")])
def test_attempts_and_limits(project, arguments):
    assert project.plan(*arguments) == []


@pytest.mark.parametrize("profile", ["dgx", "slurm"])
def test_another_profile(project, profile):
    assert project.bare_plan("submission.csv", "--profile", f"profiles/{profile}", *TINY) == []


def test_a_profile_that_compiles_makes_another_training(project):
    jobs = project.bare_plan("submission.csv", "--profile", "profiles/workstation", *TINY)
    assert {"train large_crop", "train re", "train seq"} <= set(jobs)


@pytest.mark.parametrize("profile", ["demo", "workstation"])
def test_own_settings_go_on_top_of_those_of_a_profile(project, profile):
    """Snakemake alone would take them instead."""
    own = ("--configfile", "tests/tiny.yaml")
    if profile == "workstation":
        own = (*TINY, project.yaml("plain.yaml", {"training": {"compile": False}}))
    assert project.bare_plan("submission.csv", "--profile", f"profiles/{profile}", *own) == []
    more = project.yaml("more.yaml", {"ensemble": {"exponent": 0.5}})
    jobs = project.bare_plan("submission.csv", "--profile", f"profiles/{profile}", *own, more)
    assert jobs == ["evaluate", "submission"]


def test_a_workstation_cuts_clips_while_the_gpu_detects():
    """Together the two jobs fit into its cores, so that neither waits for the other."""
    profile = yaml.safe_load((ROOT / "profiles/workstation/config.yaml").read_text(encoding="utf-8"))
    threads = dict(each.split("=") for each in profile["set-threads"])
    assert int(threads["detect_faces"]) + int(threads["extract_clips"]) == profile["cores"]


def test_a_workstation_has_fewer_shards_and_compiles():
    config = read_config(ROOT, [ROOT / "profiles/workstation/settings.yaml"])
    assert config["prediction"]["shards"] == 8
    assert config["training"]["compile"]


@pytest.mark.parametrize("profile", ["demo", "published-weights"])
def test_a_profile_from_another_folder(program, tmp_path, profile):
    """Its settings are found, and everything is written below the folder in which Snakemake was called."""
    clone = program.folder
    arguments = (
        "--snakefile",
        str(clone / "Snakefile"),
        "--profile",
        str(clone / "profiles" / profile),
        "submission.csv",
    )
    done = program.bare_dry_run(*arguments, folder=tmp_path)
    assert "Traceback" not in done.stdout
    if profile == "demo":
        assert "rule make_demo_data:" in done.stdout
        assert f"Working directory: {tmp_path / 'demo'}" in done.stdout
    else:
        assert f"There are no test videos: the folder {tmp_path / 'data/test_videos'} (data.test_videos" in done.stdout
        assert "terabyte" not in done.stdout
        assert "counts as up to date" not in done.stdout  # there is nothing


def test_other_resources_and_threads(project):
    arguments = ("--set-resources", "train:gpu=2", "train:runtime=9", "--set-threads", "train=2", "--cores", "2")
    assert project.bare_plan("submission.csv", *arguments, *TINY) == []


def test_more_at_each_attempt_up_to_the_limits(project):
    """Memory and time as SLURM would be asked for."""

    def wanted(*arguments):
        printed = project.bare_snakemake(
            *("results/models/re/weights.safetensors", "--dry-run", "--profile", "profiles/slurm"),
            *("--forcerun", "train", "--quiet", "progress", *arguments, *TINY),
        ).stdout
        (training,) = re.findall(r"^rule train:\n(?: {4}.*\n)*? {4}resources: (.*)$", printed, re.MULTILINE)
        return dict(pair.split("=", 1) for pair in training.split(", "))

    site = settings_of(project, "slurm")["__variables__"]
    for attempt in (1, 2, 3):
        asked = wanted("--attempt", str(attempt))
        assert int(asked["mem_mb"]) == 64000 * attempt
        assert int(asked["runtime"]) == min(4320 * attempt, site["longest"] - 60)
        assert asked["gpu"] == "1"
        assert asked["slurm_partition"] == site["gpu_partition"]
    assert int(wanted("--attempt", "9")["mem_mb"]) == site["largest"]
    project.replace("profiles/slurm/config.yaml", "account: null", "account: faces")
    project.replace("profiles/slurm/config.yaml", "training_gpus: 1", "training_gpus: 2")
    asked = wanted()
    assert (asked["slurm_account"], asked["gpu"]) == ("faces", "2")


def test_jobs_ask_for_no_gpu_if_none_is_to_be_used(project):
    arguments = ("submission.csv", "--forceall", "--dry-run", "--cores", "2", *TINY)
    assert project.bare_snakemake(*arguments).stdout.count("gpu=1") == 9
    project.write("cpu.yaml", b"speed: {device: cpu}\n")
    printed = project.bare_snakemake(*arguments, "cpu.yaml").stdout
    assert "gpu=0" in printed
    assert "gpu=1" not in printed


def test_jobs_are_tried_again_with_more_of_what_they_lacked_and_mistakes_are_not_repeated(finished_run, tmp_path):
    """And what succeeded at last is up to date."""
    project = finished_run.copy(tmp_path / "copy")
    tracks = [f"results/tracks/dfdc_train_part_{part}.parquet" for part in (0, 1)]
    project.replace("workflow/scripts/build_tracks.py", "def main() -> None:\n", f"def main() -> None:\n{FAILS}")
    done = project.snakemake(*tracks, "results/test/tracks/0.parquet", "--retries", "3")
    assert done.returncode == 1
    attempts = (project.demo / "attempts").read_text().splitlines()
    assert [line for line in attempts if "part_0" in line] == ["dfdc_train_part_0 4000 30"]
    assert [line.split()[1:] for line in attempts if "part_1" in line] == [
        ["4000", "30"],
        ["8000", "30"],
        ["12000", "60"],
    ]
    assert done.stdout.count("The file is missing.") >= 1
    assert done.stdout.count("The job is not retried") == 1
    assert project.plan(tracks[1]) == []
    assert project.plan(tracks[0]) == ["build_tracks dfdc_train_part_0"]


@pytest.fixture
def counting(finished_run, tmp_path, monkeypatch):
    """A project whose trainings count each other."""
    project = finished_run.copy(tmp_path / "copy")
    project.write("workflow/scripts/train.py", COUNTS.encode())
    return project


def counts(project):
    return [line.split() for line in (project.demo / "counts").read_text().splitlines()]


def test_on_a_dgx_three_trainings_run_side_by_side(counting, monkeypatch):
    monkeypatch.setenv("WAIT", "yes")
    done = counting.bare_snakemake(*WEIGHTS, "--profile", "profiles/dgx", *TINY)
    assert done.returncode == 0, done.stdout
    assert counts(counting) == [["3", "13", "1"]] * 3


def test_no_more_trainings_than_gpus(counting):
    done = counting.bare_snakemake(*WEIGHTS, "--profile", "profiles/dgx", "--resources", "gpu=1", *TINY)
    assert done.returncode == 0, done.stdout
    assert counts(counting) == [["1", "13", "1"]] * 3


def test_a_dgx_is_used_as_far_as_it_goes(project):
    """By as many jobs of a kind as the profile says."""
    profile = settings_of(project, "dgx")
    cores = profile["cores"]
    limits = dict(limit.split("=") for limit in profile["resources"])
    threads = {rule: int(number) for rule, number in (pair.split("=") for pair in profile["set-threads"])}
    assert 3 * threads["train"] <= cores == 40
    assert 3 * 64000 <= int(limits["mem_mb"]) < 512000
    for rule in (
        "detect_faces",
        "detect_test_faces",
        "score",
        "score_validation_clips",
        "extract_clips",
        "crop_test_faces",
    ):
        assert int(limits["gpu"]) * threads[rule] <= cores
        assert int(limits["gpu"]) * 16000 <= int(limits["mem_mb"])
