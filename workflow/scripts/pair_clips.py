"""Pair the clips of all parts: their indexes → pairs of a real and a fake clip."""

from dfdc.clips import pair_clips
from dfdc.log import logger, rule_log
from dfdc.tables import read_table, write_table


def main() -> None:
    pairs = pair_clips([clip for path in snakemake.input for clip in read_table(path, "clips").to_pylist()])
    equal = sum(pair["real_sha256"] == pair["fake_sha256"] for pair in pairs)
    logger.info(f"{len(pairs)} pairs, {equal} of them of equal pictures (only the sound is fake)")
    write_table(snakemake.output[0], "pairs", pairs)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "pair_clips"):
        main()
