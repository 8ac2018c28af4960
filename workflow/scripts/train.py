"""Train a model: pairs, clips and pretrained weights → weights, metrics and validation results."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import torch

from dfdc.config.canonical import digest
from dfdc.data.schemas.pairs import PAIRS, Pair
from dfdc.data.schemas.training import METRICS, VALIDATION
from dfdc.data.tables import read_rows, write_table
from dfdc.networks.precision import set_threads
from dfdc.networks.weights.files import save_weights
from dfdc.networks.weights.load import read_backbone
from dfdc.stages.clips.reading import choose_pairs
from dfdc.stages.training.checkpoint import TRAINING_VERSION, keep_newest, prepare_folder
from dfdc.stages.training.samples import SampleSettings
from dfdc.stages.training.settings import StepSettings, TrainSettings
from dfdc.stages.training.trainer import RunSettings, TrainData, train
from dfdc.system.files import sha256
from dfdc.system.jobs.devices import job_devices, requested_gpus
from dfdc.system.jobs.log import logger, rule_log
from dfdc.system.scratch import local_copies
from dfdc.system.versions import versions
from dfdc.system.workers.processes import worker_count


def main(devices: list[torch.device]) -> None:
    settings, speed, name = snakemake.params.settings, snakemake.config["speed"], snakemake.wildcards.model
    code = snakemake.params.code
    model, training, validation = settings["models"][name], settings["training"], settings["validation"]
    set_threads(devices[0], settings["torch_threads"])

    samples = SampleSettings.of(model, training)
    steps = TrainSettings(
        architecture=model["architecture"],
        kind=model["kind"],
        validate_every=validation["every"],
        **{field.name: training[field.name] for field in fields(StepSettings)},
    )
    pretrained = snakemake.input.get("pretrained")
    pairs = read_rows(snakemake.input.pairs[0], PAIRS, Pair)
    split = {name: [pair for pair in pairs if pair.split == name] for name in ("train", "validation")}
    data = TrainData(
        split["train"],
        choose_pairs(split["validation"], validation["pairs"]),
        _by_part(snakemake.input.stores),
        read_backbone(pretrained, model["architecture"], own=True) if pretrained else None,
        (_by_part(snakemake.input.variants), _by_part(snakemake.input.streams)) if snakemake.input.variants else None,
    )

    # The folder depends on settings, data and code, so that a training never resumes from checkpoints of others.
    hashes = (sha256(snakemake.input.pairs[0]), pretrained and sha256(pretrained))
    of_variants = [sha256(path) for path in snakemake.input.variants]
    fingerprint = digest(TRAINING_VERSION, settings, devices[0].type, *hashes, *of_variants)
    folder = Path("work", name, f"{fingerprint}-{digest(code)}")
    prepare_folder(folder, code)
    run = RunSettings(
        folder,
        devices,
        worker_count(speed["workers"], snakemake.threads, kept=len(devices)),
        speed["checkpoint_every"],
        speed["checkpoints_kept"],
        Path("work/tensorboard"),
    )
    logger.info(f"on {', '.join(map(str, devices))}; {len(data.pairs)} pairs; checkpoints and records in {folder}")
    tables, streams = data.variants or ({}, {})
    with local_copies(data.stores, speed["scratch"]) as stores, local_copies(streams, speed["scratch"]) as streams:
        data = replace(data, stores=stores, variants=(tables, streams) if tables else None)
        trained = train(data, steps, samples, run)

    metadata = {"architecture": model["architecture"], "kind": model["kind"], "training": training}
    metadata |= {
        "data": hashes[0],
        "pretrained": hashes[1] or None,
        "code": digest(code),
        "versions": versions(),
    }
    write_table(snakemake.output.metrics, METRICS, trained.metrics)
    write_table(snakemake.output.validation, VALIDATION, trained.validation)
    save_weights(snakemake.output.weights, trained.state, metadata, torch.float32)
    # The last checkpoint is kept: if Snakemake is killed now it discards the output, and the next run reads it here.
    keep_newest(folder, 1)


def _by_part(paths: Sequence[str]) -> dict[str, Path]:
    return {Path(path).stem: Path(path) for path in paths}


if __name__ == "__main__":
    with (
        rule_log(snakemake.log[0], f"train {snakemake.wildcards.model}"),
        job_devices(snakemake.config["speed"]["device"], requested_gpus(snakemake.resources)) as devices,
    ):
        main(devices)
