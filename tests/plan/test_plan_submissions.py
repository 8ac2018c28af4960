"""Plans for data of one's own as they would be submitted to SLURM: how often, and to which partition."""

import json
import re
from collections import Counter

import pytest
import yaml

# The full-size settings, but for what the user has to provide.
SETTINGS = {"pretrained": {"efficientnet-b7": None}}
DETECTOR = "external_data/WIDERFace_DSFD_RES152.pth"
YUNET = {"detector": "yunet", "weights": None, "resize": "longer_side", "size": 960, "threshold": 0.6}


@pytest.fixture
def project(program):
    """The program in a folder with a file for the detector's weights."""
    program.write(DETECTOR, b"")
    yield program
    program.restore()


def planned(project, parts, shards, **settings):
    """What a dry run with the SLURM profile prints, with so many parts, and as many test videos as shards."""
    metadata = {"real.mp4": {"label": "REAL"}, "fake.mp4": {"label": "FAKE", "original": "real.mp4"}}
    for part in range(parts):
        project.write(f"data/dfdc_train_part_{part}/metadata.json", json.dumps(metadata).encode())
        for video in metadata:
            project.write(f"data/dfdc_train_part_{part}/{video}", b"")
    for number in range(shards):
        project.write(f"data/test_videos/{number}.mp4", b"")
    project.write("changed.yaml", yaml.safe_dump({**SETTINGS, "prediction": {"shards": shards}, **settings}).encode())
    done = project.bare_dry_run("all", "--profile", "profiles/slurm", "--cores", "64", "--configfile", "changed.yaml")
    assert done.returncode == 0, done.stdout
    return done.stdout


def requests(printed):
    """(rule, resources) of each job, in a group or not."""
    found = re.findall(r"^ *rule (\w+):\n(?:.*\n)*?^ *resources: (.*)$", printed, re.MULTILINE)
    return [(rule, dict(pair.split("=", 1) for pair in text.split(", "))) for rule, text in found if rule != "all"]


def on_gpus(printed):
    """How many jobs of each rule are submitted to the GPU partition; all others ask for no GPU."""
    asked = requests(printed)
    assert {(request.get("gpu", "0"), request["slurm_partition"]) for _, request in asked} <= {
        ("0", "cpu"),
        ("1", "gpu"),
    }
    return Counter(rule for rule, request in asked if request["slurm_partition"] == "gpu")


def test_a_full_size_plan_is_submitted_in_fewer_pieces_than_it_has_jobs(project):
    parts, shards = 50, 40
    printed = planned(project, parts, shards)
    assert len(requests(printed)) == 509
    # Per part: faces, clips, variants. Per shard: faces, crops. Scores: four shards of a model together. Trainings,
    # exports and validations of three models; pairs, evaluation, submission, and figures.
    alone = [rule for rule in re.findall(r"^rule (\w+):", printed, re.MULTILINE) if rule != "all"]
    assert len(alone) + printed.count("Group job ") == 3 * parts + 2 * shards + 3 * shards // 4 + 3 * 3 + 5 == 274
    assert on_gpus(printed) == {
        "detect_faces": parts,
        "detect_test_faces": shards,
        "score": 3 * shards,
        "train": 3,
        "score_validation_clips": 3,
    }


def test_the_partition_follows_from_what_a_job_asks_for(project):
    site = {"gpu_model: null": "gpu_model: a100", "gpu_requests: {}": "gpu_requests: {qos: long}"}
    site |= {"\n  requests: {}": "\n  requests: {constraint: rome}"}
    for before, after in site.items():
        project.replace("profiles/slurm/config.yaml", before, after)
    yunet = {"detection": {"train": YUNET, "test": YUNET}}
    printed = planned(project, 1, 1, **yunet)
    assert on_gpus(printed) == {"score": 3, "train": 3, "score_validation_clips": 3}
    for rule, request in requests(printed):
        on_gpu = rule in ("score", "train", "score_validation_clips")
        assert (request.get("qos"), request.get("gpu_model")) == (("long", "a100") if on_gpu else (None, None))
        assert request["constraint"] == "rome"
    printed = planned(project, 1, 1, **yunet, speed={"device": "cpu"})
    assert on_gpus(printed) == {}
    assert not re.search(r"[ ,](gpu_model|qos)=", printed)


def test_a_site_that_wants_gres(project):
    """Its GPUs are requested once, and the number of cores is that of the GPUs."""
    site = {"gpu_gres: null": "gpu_gres: gpu:a100", "training_gpus: 1": "training_gpus: 2"}
    site |= {"cores_per_gpu: null": "cores_per_gpu: 12"}
    for before, after in site.items():
        project.replace("profiles/slurm/config.yaml", before, after)
    printed = planned(project, 1, 1)
    asked = {rule: (request["gpu"], request["gres"]) for rule, request in requests(printed) if "gres" in request}
    assert asked == {
        "train": ("0", "gpu:a100:2"),
        **dict.fromkeys(("detect_faces", "detect_test_faces", "score", "score_validation_clips"), ("0", "gpu:a100:1")),
    }
    assert {request["slurm_partition"] for rule, request in requests(printed) if rule in asked} == {"gpu"}
    threads = re.findall(r"^ *rule (\w+):\n(?:.*\n)*?^ *threads: (\d+)$", printed, re.MULTILINE)
    assert {(rule, number) for rule, number in threads if rule in asked} == {
        ("train", "24"),
        *((rule, "12") for rule in asked if rule != "train"),
    }
