"""The tiny demo on a cluster with SLURM: jobs as they were submitted, and what becomes of them when things go wrong."""

import json
import os
import re
import signal
import subprocess

import pytest
from cluster import ENDLESS, LONG, wait_for

# Partition, cores, memory, time limit, GPUs: as rules and groups ask at the first attempt.
WANTED = {
    "make_demo_data": ("cpu", "8", "4000M", "00:30:00", None),
    "detect_faces": ("cpu", "8", "16000M", "12:00:00", None),  # YuNet uses no GPU
    "clips": ("cpu", "8", "16000M", "13:00:00", None),
    "crops": ("cpu", "8", "16000M", "04:30:00", None),
    "train": ("gpu", "16", "62.50G", "2-23:00:00", "gres:gpu:1"),  # 64,000 MB
    "export_weights": ("cpu", "1", "8000M", "00:30:00", None),
    "scores_re": ("gpu", "8", "16000M", "08:00:00", "gres:gpu:1"),  # of two shards, one after the other
    "score_validation_clips": ("gpu", "8", "16000M", "04:00:00", "gres:gpu:1"),
    "submission": ("cpu", "1", "4000M", "00:30:00", None),
}
# A script that runs out of memory at its first attempt for one part.
FAILS_ONCE = """    import pathlib

    if snakemake.wildcards.part == "dfdc_train_part_0" and not pathlib.Path("failed").exists():
        pathlib.Path("failed").touch()
        raise MemoryError
"""


def gpus_of(text):
    return re.findall(r"GPUs: (.*)", text)[-1].split(", ")


def asked(job):
    """(memory, time limit) of a job."""
    return re.search("mem=([^,]+)", job["TRES"])[1], job["TimeLimit"]


def test_every_job_was_submitted_alone_or_in_a_group_and_ended_well(finished):
    jobs = finished.jobs()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    planned = [job.split() for job in finished.project.plan("--forceall")]
    grouped = {"build_tracks", "align_tracks", "extract_clips", "track_test_faces", "crop_test_faces", "score"}
    alone = [rule for rule, *_ in planned if rule not in grouped and not rule.endswith("_figures")]
    # Clips of two parts, crops of two shards, scores of three models, and the figures.
    assert len(jobs) == len(alone) + 2 + 2 + 3 + 1
    assert finished.project.plan() == []


@pytest.mark.parametrize("what", WANTED)
def test_jobs_and_groups_have_what_they_ask_for(finished, what):
    jobs = finished.jobs(f"{what}_")
    assert jobs
    for job in jobs:
        tres = dict(re.findall(r"([^=,]+)=([^,]+)", job["TRES"]))
        found = (job["Partition"], tres["cpu"], tres["mem"], job["TimeLimit"], job.get("TresPerJob"))
        assert found == WANTED[what]
        assert (job["NumNodes"], job["NumTasks"], job["Requeue"]) == ("1", "1", "1")


def test_trainings_side_by_side_have_gpus_of_their_own_on_two_nodes(finished):
    trainings = finished.jobs("train_")
    assert len(trainings) == 3
    assert {job["NodeList"] for job in trainings} == {"one", "two"}
    models = [job["Comment"].removeprefix("rule_train_wildcards_") for job in trainings]
    gpus = [
        (job["NodeList"], *gpus_of(finished.training_log(model))) for job, model in zip(trainings, models, strict=True)
    ]
    assert {len(place) for place in gpus} == {2}
    assert len(set(gpus)) == 3


def test_a_group_with_a_job_that_fails_is_tried_again(changeable):
    """With more memory for what ran out of it, and for that alone; all that it makes is then up to date."""
    script = "workflow/scripts/align_tracks.py"
    changeable.project.replace(script, "def main() -> None:\n", f"def main() -> None:\n{FAILS_ONCE}")
    target = "results/pairs.parquet"
    assert changeable.start(target).wait() == 0, changeable.log.read_text()
    groups = changeable.jobs("clips_")
    assert sorted((job["JobState"], *asked(job)) for job in groups) == [
        ("COMPLETED", "16000M", "12:30:00"),
        ("COMPLETED", "16000M", "12:30:00"),
        ("FAILED", "16000M", "12:30:00"),
    ]
    log = (changeable.project.demo / ".snakemake/tries").rglob("*")
    assert not [path for path in log if path.is_file()]
    assert changeable.project.plan(target) == []


def test_a_group_that_slurm_refuses(changeable):
    """Nothing is submitted, the run ends, and the next one makes what was to be made."""
    changeable.project.replace("profiles/slurm/config.yaml", "cpu_partition: cpu", "cpu_partition: nowhere")
    target, changed = "results/clips/dfdc_train_part_0.parquet", {"alignment": {"min_iou": 0.4}}
    assert changeable.start(target, settings=changed).wait(timeout=1800) == 1
    assert "Error in group clips" in changeable.log.read_text()  # Snakemake does not print the reason for groups
    assert changeable.jobs() == []
    assert changeable.project.plan(target, settings=changed) == [
        "align_tracks dfdc_train_part_0",
        "extract_clips dfdc_train_part_0",
    ]


@pytest.mark.usefixtures("cut_short")
def test_a_training_outlives_its_time_limit_and_a_kill(slow):
    """Each attempt goes on from where the last one stopped, and the next plan is empty."""
    snakemake = slow.start(
        *("results/models/re/weights.safetensors", "--set-resources"),
        "train:runtime=1 if attempt == 1 else 10 * attempt",
        settings=LONG,
    )
    first = slow.training("re", 1, "TIMEOUT")
    slow.training("re", 2)
    wait_for("the second attempt to go on", lambda: "resuming after iteration" in slow.training_log("re"))
    reached = slow.checkpoints("re")
    wait_for("a checkpoint of the second attempt", lambda: slow.checkpoints("re") != reached)
    (lock,) = slow.project.demo.glob("work/re/*/lock-*")
    os.kill(json.loads(lock.read_text())["process"], signal.SIGKILL)
    second = slow.training("re", 2, "FAILED")
    third = slow.training("re", 3, "COMPLETED")
    assert snakemake.wait() == 0, slow.log.read_text()
    # The killed one may have run out of memory. Both had advanced, so the third is the second attempt that counts.
    assert [asked(job) for job in (first, second, third)] == [
        ("62.50G", "00:01:00"),
        ("62.50G", "00:20:00"),
        ("125G", "00:20:00"),
    ]
    resumed = int(re.search(r"resuming after iteration (\d+)", slow.training_log("re"))[1])
    assert resumed >= int(re.search(r"\d+", reached[-1])[0])
    assert slow.project.plan("results/models/re/weights.safetensors", settings=LONG) == []


def test_a_training_on_two_gpus_is_one_task_survives_preemption_and_ctrl_c_cancels_it(slow):
    slow.project.replace("profiles/slurm/config.yaml", "training_gpus: 1", "training_gpus: 2")
    snakemake = slow.start("results/models/large_crop/weights.safetensors", settings=ENDLESS)
    job = slow.training("large_crop", 1)
    wait_for("the training", lambda: slow.checkpoints("large_crop"))
    assert job["TresPerJob"] == "gres:gpu:2"
    assert (job["NumTasks"], job["NumNodes"]) == ("1", "1")
    assert len(set(gpus_of(slow.training_log("large_crop")))) == 2
    # What SLURM does to a job that has to give way to another.
    reached = slow.checkpoints("large_crop")[-1]
    subprocess.run(["scontrol", "requeue", job["JobId"]], check=True)
    slow.training("large_crop", 1, "PENDING")
    subprocess.run(["scontrol", "update", f"jobid={job['JobId']}", "starttime=now"], check=True)
    assert slow.training("large_crop", 1)["Restarts"] == "1"
    wait_for("the training to go on", lambda: "resuming after iteration" in slow.training_log("large_crop"))
    assert slow.checkpoints("large_crop")[-1] >= reached
    assert snakemake.poll() is None
    snakemake.send_signal(signal.SIGINT)
    assert snakemake.wait(timeout=1800) != 0
    slow.training("large_crop", 1, "CANCELLED")
    assert len(slow.jobs("train_wildcards_large_crop_")) == 1


def test_after_kill_9_of_snakemake_no_second_training_runs_beside_the_first(slow):
    target = "results/models/seq/weights.safetensors"
    snakemake = slow.start(target, settings=ENDLESS)
    first = slow.training("seq", 1)
    wait_for("a checkpoint", lambda: slow.checkpoints("seq"))
    snakemake.kill()
    snakemake.wait()
    assert slow.start(target, "--unlock", settings=ENDLESS).wait() == 0, slow.log.read_text()
    assert slow.start(target, "--retries", "0", settings=ENDLESS).wait() == 1
    assert "This training is already running (process" in slow.log.read_text()
    assert [job["JobState"] for job in slow.jobs("train_wildcards_seq_")] == ["RUNNING", "FAILED"]
    # As the message says: stop it and run again.
    subprocess.run(["scancel", first["JobId"]], check=True)
    slow.training("seq", 1, "CANCELLED")
    reached = slow.checkpoints("seq")
    snakemake = slow.start(target, settings=ENDLESS)
    wait_for("the training to go on", lambda: "resuming after iteration" in slow.training_log("seq"))
    assert slow.checkpoints("seq")[-1] >= reached[-1]
    snakemake.send_signal(signal.SIGINT)
    snakemake.wait(timeout=1800)


def test_a_training_goes_on_however_often_its_time_runs_out(cut_short):
    """One retry is allowed, and three attempts ran out of time: each had advanced, so none counts."""
    attempts = wait_for("four attempts", lambda: cut_short.jobs("train_")[3:] and cut_short.jobs("train_"))
    assert {job["JobState"] for job in attempts[:3]} == {"TIMEOUT"}
    assert {asked(job) for job in attempts} == {("62.50G", "00:01:00")}
    resumed = wait_for(
        "an attempt to go on", lambda: re.search(r"resuming after iteration (\d+)", cut_short.training_log("re"))
    )
    assert int(resumed[1]) >= 2 * ENDLESS["speed"]["checkpoint_every"]  # at least two have advanced before
