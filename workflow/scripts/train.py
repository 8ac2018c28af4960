"""Train a model: pairs, stores of clips and pretrained weights → weights and metrics."""

import shutil
from pathlib import Path

import torch

from dfdc.augment import AugmentSettings, CropPolicy
from dfdc.dataset import SampleSettings
from dfdc.files import sha256
from dfdc.gpus import choose_device, set_threads
from dfdc.log import logger, rule_log
from dfdc.parallel import worker_count
from dfdc.recompression import RecompressionSettings
from dfdc.settings import digest
from dfdc.tables import read_table, write_table
from dfdc.training import TrainSettings, train
from dfdc.weights import load_pretrained, save_weights


def main() -> None:
    params, speed, name = snakemake.params, snakemake.config["speed"], snakemake.wildcards.model
    model, training = params.model, params.training
    device = choose_device(speed["device"], snakemake.resources.gpu)
    set_threads(device, params.torch_threads)

    recompression = dict(training["recompression"])
    whole_clip = recompression.pop("whole_clip")
    samples = SampleSettings(
        kind=model["kind"],
        frames=tuple(model["frames"]),
        whole_clip=whole_clip,
        crop=CropPolicy(**model["crop"]),
        augment=AugmentSettings(training["flip"], training["autoaugment"], erasing=model["erasing"]),
        recompression=RecompressionSettings(**recompression),
        mixup_alpha=training["mixup_alpha"],
        seed=model["seed"],
    )
    steps = ("iterations", "batch_pairs", "warmup_iterations", "learning_rate", "momentum", "weight_decay")
    settings = TrainSettings(model["architecture"], model["kind"], **{key: training[key] for key in steps})
    pretrained = snakemake.input.get("pretrained")

    # Checkpoints of other settings, code or data are no place to go on from.
    about = (model, training, params.torch_threads, params.code, device.type)
    data, start = sha256(snakemake.input.pairs[0]), pretrained and sha256(pretrained)
    folder = Path("work", name, digest(*about, data, start))
    logger.info(f"on {device}, checkpoints in {folder}")

    state, metrics = train(
        read_table(snakemake.input.pairs[0], "pairs").to_pylist(),
        {Path(path).stem: Path(path) for path in snakemake.input.stores},
        load_pretrained(pretrained, model["architecture"]) if pretrained else None,
        settings,
        samples,
        folder,
        device,
        worker_count(speed["workers"], snakemake.threads),
        speed["checkpoint_every"],
    )
    provenance = {"training": training, "data": data, "pretrained": start or None, "code": digest(params.code)}
    write_table(snakemake.output.metrics, "metrics", metrics)
    save_weights(
        snakemake.output.weights,
        state,
        {"architecture": model["architecture"], "kind": model["kind"], **provenance},
        torch.float32,
    )
    shutil.rmtree(folder)  # what was for a restart; a training that is run again begins anew


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"train {snakemake.wildcards.model}"):
        main()
