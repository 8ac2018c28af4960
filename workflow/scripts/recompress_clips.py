"""Recompress the pairs of clips of a part in several variants: pairs and clips → H.264 streams and their index."""

from pathlib import Path

from dfdc.data.schemas.pairs import PAIRS, VARIANTS, Pair
from dfdc.data.tables import read_rows, write_table
from dfdc.stages.clips.recompressing import recompress_clips
from dfdc.system.jobs.log import rule_log
from dfdc.system.workers.processes import worker_count
from dfdc.video.settings import RecompressionSettings


def main() -> None:
    config, settings = snakemake.config, dict(snakemake.params.settings["training"]["recompression"])
    variants = settings.pop("variants")
    rows = recompress_clips(
        [pair for pair in read_rows(snakemake.input.pairs[0], PAIRS, Pair) if pair.part == snakemake.wildcards.part],
        Path(snakemake.input.store),
        Path(snakemake.output.streams),
        RecompressionSettings(probability=1.0, **settings),
        variants,
        snakemake.params.settings["clips"]["seed"],
        snakemake.params.frames["last"],
        worker_count(config["speed"]["workers"], snakemake.threads),
        config["data"]["video_timeout"],  # affects only pairs that cannot be encoded
    )
    write_table(snakemake.output.variants, VARIANTS, rows)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"recompress_clips {snakemake.wildcards.part}"):
        main()
