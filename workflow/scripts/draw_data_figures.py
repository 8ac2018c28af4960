"""Plot statistics of the training videos: tables of all parts → figures."""

from dfdc.data.schemas.alignment import ALIGNED
from dfdc.data.schemas.clips import CLIPS
from dfdc.data.schemas.detections import DETECTIONS
from dfdc.data.schemas.tracks import TRACKS
from dfdc.data.schemas.videos import VIDEOS
from dfdc.data.tables import read_table
from dfdc.figures.data import (
    found_in,
    plot_alignment,
    plot_clip_lengths,
    plot_faces,
    plot_heights,
    plot_tracks,
    plot_videos,
    together,
)
from dfdc.system.jobs.log import rule_log


def main() -> None:
    # One part at a time, so that only the plotted statistics of all detections are in memory.
    parts = zip(snakemake.input.videos, snakemake.input.detections, snakemake.input.tracks, strict=True)
    stats = together(
        [
            found_in(
                read_table(videos, VIDEOS),
                read_table(detections, DETECTIONS),
                read_table(tracks, TRACKS),
                snakemake.params.settings["detection"]["train"]["every"],
            )
            for videos, detections, tracks in parts
        ]
    )
    plot_videos(snakemake.output.videos, stats)
    plot_faces(snakemake.output.faces, stats)
    plot_heights(snakemake.output.heights, stats)
    plot_tracks(snakemake.output.tracks, stats)
    plot_alignment(snakemake.output.alignment, (read_table(path, ALIGNED) for path in snakemake.input.aligned))
    plot_clip_lengths(snakemake.output.clips, (read_table(path, CLIPS) for path in snakemake.input.clips))


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "draw_data_figures"):
        main()
