"""Align the tracks of real videos and their fakes: tracks of a part → aligned tracks."""

from dfdc.data.schemas.alignment import ALIGNED
from dfdc.data.schemas.tracks import TRACKS, tracks_of
from dfdc.data.schemas.videos import VIDEOS, TrainingVideo
from dfdc.data.tables import read_rows, read_table, write_table
from dfdc.stages.faces.alignment import align_tracks
from dfdc.stages.faces.settings.alignment import AlignmentSettings
from dfdc.system.jobs.log import rule_log


def main() -> None:
    aligned = align_tracks(
        tracks_of(read_table(snakemake.input.tracks[0], TRACKS)),
        read_rows(snakemake.input.videos, VIDEOS, TrainingVideo),
        AlignmentSettings(**snakemake.params.settings["alignment"]),
    )
    write_table(snakemake.output[0], ALIGNED, aligned)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"align_tracks {snakemake.wildcards.part}"):
        main()
