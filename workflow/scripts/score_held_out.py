"""Score clips that were kept out of training with one model: pairs, clips, weights → a probability for each frame."""

from pathlib import Path

import torch

from dfdc.gpus import job_device, set_threads
from dfdc.held_out import score_held_out
from dfdc.inference import Scorer
from dfdc.log import rule_log
from dfdc.parallel import worker_count
from dfdc.tables import read_table, write_table
from dfdc.validation import choose_pairs


def main(device: torch.device) -> None:
    settings = snakemake.params.settings
    set_threads(device, snakemake.params.torch_threads)
    pairs = read_table(snakemake.input.pairs[0], "pairs").to_pylist()
    rows = score_held_out(
        choose_pairs([pair for pair in pairs if pair["split"] == "validation"], settings["pairs"]),
        {Path(path).stem: Path(path) for path in snakemake.input.stores},
        Scorer(Path(snakemake.input.weights[0]), device),
        snakemake.params.model["frames"],
        settings["recompression"],
        worker_count(snakemake.config["speed"]["workers"], snakemake.threads),
    )
    write_table(snakemake.output[0], "held_out", rows)


if __name__ == "__main__":
    with (
        rule_log(snakemake.log[0], f"score_held_out {snakemake.wildcards.model}"),
        job_device(snakemake.config["speed"]["device"], snakemake.resources.gpu) as device,
    ):
        main(device)
