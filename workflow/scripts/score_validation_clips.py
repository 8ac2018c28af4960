"""Score validation clips with one model: pairs, clips, weights → a probability for each frame."""

from pathlib import Path

import torch

from dfdc.data.schemas.pairs import PAIRS, Pair
from dfdc.data.schemas.validation_scores import VALIDATION_SCORES
from dfdc.data.tables import read_rows, write_table
from dfdc.networks.precision import set_threads
from dfdc.stages.clips.reading import choose_pairs
from dfdc.stages.evaluation.validation_clips import score_validation_clips
from dfdc.stages.prediction.scorer import Scorer
from dfdc.system.jobs.devices import job_device, requested_gpus
from dfdc.system.jobs.log import rule_log
from dfdc.system.workers.processes import worker_count


def main(device: torch.device) -> None:
    settings = snakemake.params.settings
    set_threads(device, settings["torch_threads"])
    pairs = read_rows(snakemake.input.pairs[0], PAIRS, Pair)
    rows = score_validation_clips(
        choose_pairs([pair for pair in pairs if pair.split == "validation"], settings["evaluation"]["pairs"]),
        {Path(path).stem: Path(path) for path in snakemake.input.stores},
        Scorer(Path(snakemake.input.weights[0]), device, settings["prediction"]["precision"]),
        settings["models"][snakemake.wildcards.model]["frames"],
        settings["evaluation"]["recompression"],
        worker_count(snakemake.config["speed"]["workers"], snakemake.threads),
    )
    write_table(snakemake.output[0], VALIDATION_SCORES, rows)


if __name__ == "__main__":
    with (
        rule_log(snakemake.log[0], f"score_validation_clips {snakemake.wildcards.model}"),
        job_device(snakemake.config["speed"]["device"], requested_gpus(snakemake.resources)) as device,
    ):
        main(device)
