"""Score the faces of a shard with one model: crops and weights → a probability for each face."""

from pathlib import Path

import torch

from dfdc.gpus import job_device, set_threads
from dfdc.inference import Scorer, score
from dfdc.log import rule_log
from dfdc.store import Store
from dfdc.tables import read_table, write_table


def main(device: torch.device) -> None:
    set_threads(device, snakemake.params.torch_threads)
    rows = score(
        read_table(snakemake.input.crops, "crops").to_pylist(),
        Store(snakemake.input.store),
        Scorer(Path(snakemake.input.weights[0]), device),
        **snakemake.params.take,
    )
    write_table(snakemake.output[0], "scores", rows)


if __name__ == "__main__":
    with (
        rule_log(snakemake.log[0], f"score {snakemake.wildcards.model} {snakemake.wildcards.shard}"),
        job_device(snakemake.config["speed"]["device"], snakemake.resources.gpu) as device,
    ):
        main(device)
