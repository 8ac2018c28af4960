"""Link the faces of a training part to tracks: detections → tracks."""

from dfdc.data.schemas.faces import DETECTIONS, VIDEOS
from dfdc.data.schemas.tracks import TRACKS
from dfdc.data.tables import read_table, write_table
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.faces.tracking import build_tracks
from dfdc.system.jobs.log import rule_log


def main() -> None:
    videos = read_table(snakemake.input.videos, VIDEOS).to_pylist()
    tracks = build_tracks(
        read_table(snakemake.input.detections, DETECTIONS),
        {video["video"]: video["frames"] for video in videos},
        {video["video"]: snakemake.params.every for video in videos},
        TrackerSettings(**snakemake.params.settings),
    )
    write_table(snakemake.output[0], TRACKS, tracks)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"build_tracks {snakemake.wildcards.part}"):
        main()
