"""Score the faces of a shard with one model: crops and weights → a probability for each face."""

from pathlib import Path

import torch

from dfdc.data.pictures.store import Store
from dfdc.data.schemas.crops import CROPS, Crop
from dfdc.data.schemas.scores import SCORES
from dfdc.data.tables import read_rows, write_table
from dfdc.networks.precision import set_threads
from dfdc.stages.prediction.scorer import Scorer, score
from dfdc.system.jobs.devices import job_device, requested_gpus
from dfdc.system.jobs.log import rule_log
from dfdc.system.workers.processes import worker_count


def main(device: torch.device) -> None:
    settings = snakemake.params.settings
    set_threads(device, settings["torch_threads"])
    rows = score(
        read_rows(snakemake.input.crops, CROPS, Crop),
        Store(snakemake.input.store),
        Scorer(Path(snakemake.input.weights[0]), device, settings["prediction"]["precision"]),
        **settings["models"][snakemake.wildcards.model]["score"],
        workers=worker_count(snakemake.config["speed"]["workers"], snakemake.threads),
    )
    write_table(snakemake.output[0], SCORES, rows)


if __name__ == "__main__":
    with (
        rule_log(snakemake.log[0], f"score {snakemake.wildcards.model} {snakemake.wildcards.shard}"),
        job_device(snakemake.config["speed"]["device"], requested_gpus(snakemake.resources)) as device,
    ):
        main(device)
