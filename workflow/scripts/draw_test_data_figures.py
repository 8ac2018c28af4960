"""Plot statistics of the test videos: tables of videos, detections and tracks → figures."""

from dfdc.data.schemas.detections import DETECTIONS
from dfdc.data.schemas.tracks import TRACKS
from dfdc.data.schemas.videos import TEST_VIDEOS
from dfdc.data.tables import read_table
from dfdc.figures.data import found_in, plot_faces, plot_heights, plot_tracks, plot_videos, together
from dfdc.system.jobs.log import rule_log


def main() -> None:
    shards = zip(snakemake.input.videos, snakemake.input.detections, snakemake.input.tracks, strict=True)
    stats = together(
        [
            found_in(
                read_table(videos, TEST_VIDEOS),
                read_table(detections, DETECTIONS),
                read_table(tracks, TRACKS),
                snakemake.params.settings["detection"]["test"]["every"],
            )
            for videos, detections, tracks in shards
        ]
    )
    plot_videos(snakemake.output.videos, stats)
    plot_faces(snakemake.output.faces, stats)
    plot_heights(snakemake.output.heights, stats)
    plot_tracks(snakemake.output.tracks, stats)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "draw_test_data_figures"):
        main()
