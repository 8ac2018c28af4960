"""Pair the clips of all parts: their indexes → pairs of a real and a fake clip, for training and for validation."""

from dfdc.data.schemas.clips import CLIPS, Clip
from dfdc.data.schemas.pairs import PAIRS
from dfdc.data.tables import read_rows, write_table
from dfdc.stages.clips.pairs import pair_clips
from dfdc.stages.clips.settings.pairs import PairSettings, ValidationSettings
from dfdc.system.jobs.log import rule_log


def main() -> None:
    pairs = pair_clips(
        [clip for path in snakemake.input for clip in read_rows(path, CLIPS, Clip)],
        PairSettings(**snakemake.params.settings["pairs"]).min_difference,
        ValidationSettings(**snakemake.params.settings["validation"]),
    )
    write_table(snakemake.output[0], PAIRS, pairs)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "pair_clips"):
        main()
