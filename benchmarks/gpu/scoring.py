"""Scoring: images a second of each model, and seconds a video of the ensemble."""

import statistics
import time
from collections.abc import Iterator

import torch
from settings import CONFIG, DEMO

from dfdc.config.reading import merged
from dfdc.data.pictures.store import Store
from dfdc.networks.families import build_model
from dfdc.networks.inputs import IMAGENET
from dfdc.networks.weights.files import save_weights
from dfdc.networks.weights.find import Member, find_members
from dfdc.stages.prediction.scorer import BATCH, Scorer, prepared
from dfdc.stages.prediction.scoring_settings import ScoringSettings
from dfdc.stages.prediction.videos import score_videos
from gpu.bench import Bench
from gpu.rows import Row


def scoring(bench: Bench) -> Iterator[Row]:
    """The published ensemble with random weights."""
    members = _members(bench)
    faces = Store(bench.clips.stores["part"]).read(0, range(14))
    rounds = 8 if bench.device.type == "cuda" else 1
    for member in members:
        scorer = Scorer(member.path, bench.device, CONFIG["prediction"]["precision"])
        length = scorer.sequence_length if scorer.kind == "sequence" else 1
        count = BATCH // length if bench.device.type == "cuda" else 1
        units = [[faces[number % len(faces)] for number in range(length)]] * count
        scorer([prepared(unit, scorer.crop, flip=False) for unit in units])
        start = time.perf_counter()
        for _ in range(rounds):
            scorer([prepared(unit, scorer.crop, flip=False) for unit in units])
        rate = rounds * count * length / (time.perf_counter() - start)
        yield Row(member.name, rate, "images/s", note=f"{count * length} a batch, resizing in one process included")
    yield from _videos(bench, members)


def _members(bench: Bench) -> list[Member]:
    sizes, folder = bench.sizes, bench.folder / "weights"
    models = {
        name: model | {"architecture": sizes.architecture, "crop": vars(sizes.crop)}
        for name, model in CONFIG["models"].items()
    }
    torch.manual_seed(0)
    for name, model in models.items():
        length = len(model["frames"])
        network = build_model(model["architecture"], model["kind"], (sizes.crop.height, sizes.crop.width), length)
        metadata = {key: model[key] for key in ("architecture", "kind", "crop")}
        metadata |= {"name": name, "sequence_length": length, "mean": IMAGENET.mean, "std": IMAGENET.std}
        (folder / name).mkdir(parents=True)
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
        save_weights(folder / name / "weights.fp16.safetensors", state, metadata, torch.float16)
    return find_members([folder], models)


def _videos(bench: Bench, members: list[Member]) -> Iterator[Row]:
    # YuNet, because random weights of DSFD find nothing that could be followed.
    settings = ScoringSettings.of(merged(CONFIG, {key: DEMO[key] for key in ("detection", "tracking")}), members)
    videos = sorted(bench.videos.iterdir())[: max(2 * bench.processes, 2)]
    folder = bench.folder / "faces"
    folder.mkdir()
    ends, scored = [], []
    for video in score_videos(videos, members, settings, bench.device, bench.processes, 16, None, folder):
        ends.append(time.perf_counter())
        scored.append(video)
    faces = statistics.median(video.frames_used() for video in scored)
    note = f"{bench.sizes.video_frames} frames, {bench.processes} processes, YuNet on the CPU; median {faces:.0f} faces"
    if not faces:
        raise RuntimeError("No face was found in the videos: nothing was scored.")
    yield Row("a video", (ends[-1] - ends[0]) / (len(ends) - 1), "s", note=note)
    yield Row("a video by itself", statistics.median(video.seconds for video in scored), "s", note="in its processes")
