"""Files that are gone, given anew or half-written: what would run again, and after a change as well."""

import base64
import io

import pytest
import torch

from dfdc.networks.families import build_model

# The stages in an order in which they can run, from the data on.
STAGES = (
    *("detect_faces", "build_tracks", "align_tracks", "extract_clips", "pair_clips", "recompress_clips"),
    *("convert_pretrained", "train", "export_weights", "release_weights"),
    *("detect_test_faces", "track_test_faces", "crop_test_faces", "score", "evaluate", "submission"),
)
# What `rule all` asks for; all else is made only if something needs it.
WANTED = ("evaluate", "submission", "release_weights")
CLIPS, CROPS = "demo/results/clips/dfdc_train_part_0.arrow", "demo/results/test/crops/0.arrow"


@pytest.fixture(scope="module")
def outputs(_copy_of_module):
    """The files that each job writes."""
    return _copy_of_module.outputs()


def changed(project, path):
    """A change of code."""
    project.write(path, (project.folder / path).read_bytes() + b"\nADDED = 1\n")


def kept_by_snakemake(kind, path):
    """Where Snakemake keeps something about an output: in a file that it names after it, coded."""
    name = base64.b64encode(path.removeprefix("demo/").encode()).decode()
    return f"demo/.snakemake/{kind}/{name}"


def first_job(world, rule):
    return next(job for job in world.after(rule) if job.split()[0] == rule)


@pytest.mark.parametrize("rule", STAGES)
def test_what_one_job_wrote_is_gone(project, world, graph, outputs, rule):
    """Nobody misses it while all that needs it is up to date; as soon as that is not, it is made again."""
    job = first_job(world, rule)
    for path in outputs[job]:
        project.remove(path)
    assert project.plan() == (world.after(job) if rule in WANTED else [])
    for reader in graph[rule][1].split()[:1]:
        changed(project, f"workflow/scripts/{reader}.py")
        assert project.plan() == world.after(job, reader)


def test_a_store_is_gone(project, world):
    """Stores are large, and the first to be deleted."""
    project.remove(CLIPS)
    project.remove(CROPS)
    assert project.plan() == []
    before = {"alignment": {"min_iou": 0.4}, "tracking": {"test": {"t_min": 6}}}
    assert project.plan(settings=before) == world.after("align_tracks", "track_test_faces")


def test_clips_are_gone_and_a_training_changes(project, world):
    project.remove(CLIPS)
    settings = {"models": {"re": {"seed": 11}}}
    assert project.plan(settings=settings) == world.after("train re", "extract_clips dfdc_train_part_0")


def test_crops_are_gone_and_a_score_changes(project, world):
    project.remove(CROPS)
    settings = {"models": {"seq": {"score": {"of": 2, "take": [0]}}}}
    assert project.plan(settings=settings) == world.after("score seq", "crop_test_faces 0", "release_weights")


def test_a_run_that_stopped_in_any_stage(project, world, outputs):
    """From the last stage to the first: its output is half-written, and of the stages after it nothing was made."""
    stopped = []
    for rule in reversed(STAGES):
        written = [path for job, paths in outputs.items() if job.split()[0] == rule for path in paths]
        stopped.append(rule)
        for path in written:
            project.write(kept_by_snakemake("incomplete", path), b"")
        assert project.plan() == world.after(*stopped)
        for path in written:
            for file in (path, kept_by_snakemake("incomplete", path), kept_by_snakemake("metadata", path)):
                project.remove(file)
    assert world.after(*stopped) == sorted(outputs.keys() - {"make_demo_data"})


@pytest.mark.parametrize("job", ["crop_test_faces 1", "score seq 1"])
def test_a_shard_that_failed_runs_alone(project, world, outputs, job):
    for path in outputs[job]:
        project.write(kept_by_snakemake("incomplete", path), b"")
    shards = {
        f"{rule} {shard}" for rule in ("detect_test_faces", "track_test_faces", "crop_test_faces") for shard in "01"
    }
    plan = project.plan()
    assert plan == world.after(job)
    assert shards & set(plan) <= {job}


def test_half_written_output_is_made_again(finished_run, tmp_path):
    project = finished_run.copy(tmp_path / "copy")
    for path in ("results/evaluation.json", "submission.csv"):
        project.write(f"demo/{path}", b"filename,la")
        mark = base64.b64encode(path.encode()).decode()
        project.write(f"demo/.snakemake/incomplete/{mark}", b"")
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    assert project.plan() == []
    for path in ("results/evaluation.json", "submission.csv"):
        assert (project.demo / path).read_bytes() == (finished_run.demo / path).read_bytes()


GIVEN = {
    "detection": {half: {"weights": f"given/{half}"} for half in ("train", "test")},
    "pretrained": {"efficientnet-lite0": "given/pretrained"},
    "models": {"re": {"weights": "given/re"}},
}


def weights(name, seed):
    """The content of a file of weights. Those of a finished model have to be ones; nobody looks into the others."""
    if name != "re":
        return f"{name} {seed}".encode()
    torch.manual_seed(seed)
    file = io.BytesIO()
    torch.save(build_model("efficientnet-lite0", "frame", (32, 32)).half().state_dict(), file)
    return file.getvalue()


@pytest.fixture(scope="module")
def _own_weights(finished_run, tmp_path_factory):
    project = finished_run.copy(tmp_path_factory.mktemp("own_weights") / "copy")
    (project.demo / "given").mkdir()
    for name in ("train", "test", "pretrained", "re"):
        (project.demo / "given" / name).write_bytes(weights(name, 0))
    done = project.snakemake("--touch", settings=GIVEN)
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture
def own_weights(_own_weights):
    """A finished run with weights of all kinds in the user's own files; put back after each test."""
    yield _own_weights
    _own_weights.restore()


@pytest.mark.parametrize(
    ("name", "start", "models", "besides"),
    [
        ("train", "detect_faces", ("large_crop", "seq"), ["score_validation_clips re"]),
        ("pretrained", "convert_pretrained", ("large_crop", "seq"), []),
        ("re", "export_weights", ("re",), []),
        ("test", "detect_test_faces", ("large_crop", "re", "seq"), []),
    ],
)
def test_a_file_of_weights_is_replaced(own_weights, world, name, start, models, besides):
    """What depends on it runs again. The model whose weights are given has no training, but is measured like others."""
    own_weights.write(f"demo/given/{name}", weights(name, 1))
    assert own_weights.plan(settings=GIVEN) == sorted([*type(world)(model=models).after(start), *besides])


def test_files_of_weights_are_copied_again(own_weights):
    for name in ("train", "test", "pretrained", "re"):
        own_weights.write(f"demo/given/{name}", weights(name, 0))
    assert own_weights.plan(settings=GIVEN) == []


def test_files_of_weights_are_gone(own_weights):
    """What was made of them is up to date; whatever needs them does not start."""
    for name in ("train", "test", "pretrained", "re"):
        own_weights.remove(f"demo/given/{name}")
    assert own_weights.plan(settings=GIVEN) == []
    own_weights.remove("demo/results/models/re/weights.fp16.safetensors")
    own_weights.replace("workflow/scripts/score.py", "rows = score(", "rows = (score)(")
    own_weights.replace("workflow/scripts/submission.py", "videos = [", "assert snakemake\n    videos = [")
    refused = own_weights.dry_run("--forcerun", "score", settings=GIVEN)
    assert refused.returncode == 1
    assert "given/re (models.re.weights in the config) do not exist" in refused.stdout


def test_a_file_in_a_folder_of_weights_is_replaced(own_weights, world):
    """A TensorFlow checkpoint may be a folder."""
    given = GIVEN | {"pretrained": {"efficientnet-lite0": "given"}}
    done = own_weights.snakemake("--touch", settings=given)
    assert done.returncode == 0, done.stdout
    assert own_weights.plan(settings=given) == []
    own_weights.write("demo/given/pretrained", weights("pretrained", 1))
    plan = own_weights.plan(settings=given)
    assert plan == sorted([*type(world)(model=("large_crop", "seq")).after("convert_pretrained")])
