"""Align the tracks of real videos and their fakes: tracks of a part → aligned tracks."""

from dfdc.alignment import AlignmentSettings, align_tracks
from dfdc.log import rule_log
from dfdc.tables import read_table, write_table


def main() -> None:
    aligned = align_tracks(
        read_table(snakemake.input.tracks[0], "tracks"),
        read_table(snakemake.input.videos, "videos"),
        AlignmentSettings(**snakemake.params.settings),
    )
    write_table(snakemake.output[0], "aligned", aligned)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"align_tracks {snakemake.wildcards.part}"):
        main()
