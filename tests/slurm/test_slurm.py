"""The tiny demo on a cluster with SLURM: jobs as they were submitted, and what becomes of them when things go wrong."""

import json
import os
import re
import signal
import subprocess
from itertools import pairwise

import pytest
from cluster import wait_for

# So long that no training ends within a minute, and one that does not end within the tests.
LONG = {"training": {"iterations": 200}, "validation": {"every": 100}, "speed": {"checkpoint_every": 5}}
ENDLESS = {**LONG, "training": {"iterations": 100_000}}
# Partition, cores, memory, time limit, GPUs: as the rules ask at the first attempt.
WANTED = {
    "make_demo_data": ("cpu", "8", "4000M", "00:30:00", None),
    "detect_faces": ("gpu", "8", "16000M", "12:00:00", None),  # YuNet uses none
    "build_tracks": ("cpu", "1", "4000M", "00:30:00", None),
    "extract_clips": ("cpu", "8", "16000M", "12:00:00", None),
    "train": ("gpu", "16", "62.50G", "3-00:00:00", "gres:gpu:1"),  # 64,000 MB
    "export_weights": ("cpu", "1", "8000M", "00:30:00", None),
    "score": ("gpu", "8", "16000M", "04:00:00", "gres:gpu:1"),
    "score_validation_clips": ("gpu", "8", "16000M", "04:00:00", "gres:gpu:1"),
    "submission": ("cpu", "1", "4000M", "00:30:00", None),
}


def gpus_of(text):
    return re.findall(r"GPUs assigned by SLURM: (.*)", text)[-1].split(", ")


def test_every_job_was_submitted_and_ended_well(finished):
    jobs = finished.jobs()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert len(jobs) == len({job["Comment"] for job in jobs})
    rules = [job["Comment"].removeprefix("rule_").split("_wildcards_")[0] for job in jobs]
    assert sorted(rules) == [job.split()[0] for job in finished.project.plan("--forceall")]
    assert finished.project.plan() == []


@pytest.mark.parametrize("rule", WANTED)
def test_jobs_have_what_their_rules_ask_for(finished, rule):
    jobs = finished.jobs(f"{rule}_")
    assert jobs
    for job in jobs:
        tres = dict(re.findall(r"([^=,]+)=([^,]+)", job["TRES"]))
        found = (job["Partition"], tres["cpu"], tres["mem"], job["TimeLimit"], job.get("TresPerJob"))
        assert found == WANTED[rule]
        assert (job["NumNodes"], job["NumTasks"], job["Requeue"]) == ("1", "1", "1")


def test_trainings_side_by_side_have_gpus_of_their_own(finished):
    trainings = sorted(finished.jobs("train_"), key=lambda job: job["StartTime"])
    assert len(trainings) == 3
    models = [job["Comment"].removeprefix("rule_train_wildcards_") for job in trainings]
    gpus = [gpus_of(finished.training_log(model)) for model in models]
    assert all(len(of_one) == 1 for of_one in gpus)
    for (one, other), (first, second) in zip(pairwise(trainings), pairwise(gpus), strict=True):
        assert first != second or one["EndTime"] <= other["StartTime"]


def test_a_training_outlives_its_time_limit_and_a_kill(slow):
    """Each attempt goes on from where the last one stopped, and the next plan is empty."""
    snakemake = slow.start(
        *("results/models/re/weights.safetensors", "--set-resources", "train:slurm_partition=gpu"),
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
    assert [job["TimeLimit"] for job in (first, second, third)] == ["00:01:00", "00:20:00", "00:30:00"]
    # Memory as the rule says: more each time.
    assert [re.search("mem=([^,]+)", job["TRES"])[1] for job in (first, second, third)] == ["62.50G", "125G", "187.50G"]
    resumed = int(re.search(r"resuming after iteration (\d+)", slow.training_log("re"))[1])
    assert resumed >= int(re.search(r"\d+", reached[-1])[0])
    assert slow.project.plan("results/models/re/weights.safetensors", settings=LONG) == []


def test_a_training_on_two_gpus_is_one_task_and_ctrl_c_cancels_it(slow):
    slow.project.replace("profiles/slurm/config.yaml", "training_gpus: 1", "training_gpus: 2")
    snakemake = slow.start("results/models/large_crop/weights.safetensors", settings=ENDLESS)
    job = slow.training("large_crop", 1)
    wait_for("the training", lambda: slow.checkpoints("large_crop"))
    assert job["TresPerJob"] == "gres:gpu:2"
    assert (job["NumTasks"], job["NumNodes"]) == ("1", "1")
    assert gpus_of(slow.training_log("large_crop")) == ["0", "1"]
    snakemake.send_signal(signal.SIGINT)
    assert snakemake.wait(timeout=120) != 0
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
    snakemake.wait(timeout=120)
