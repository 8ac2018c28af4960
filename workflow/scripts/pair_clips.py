"""Pair the clips of all parts: their indexes → pairs of a real and a fake clip, for training and for validation."""

from dfdc.log import rule_log
from dfdc.pairs import ValidationSettings, pair_clips
from dfdc.tables import read_table, write_table


def main() -> None:
    pairs = pair_clips(
        [clip for path in snakemake.input for clip in read_table(path, "clips").to_pylist()],
        snakemake.params.settings["min_difference"],
        ValidationSettings(**snakemake.params.validation),
    )
    write_table(snakemake.output[0], "pairs", pairs)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "pair_clips"):
        main()
