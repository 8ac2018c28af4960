"""Link the faces of a training part to tracks: detections → tracks."""

from dfdc.log import rule_log
from dfdc.tables import read_table, write_table
from dfdc.tracking import TrackerSettings, build_tracks


def main() -> None:
    videos = read_table(snakemake.input.videos, "videos").to_pylist()
    tracks = build_tracks(
        read_table(snakemake.input.detections, "detections"),
        {video["video"]: video["frames"] for video in videos},
        {video["video"]: snakemake.params.every for video in videos},
        TrackerSettings(**snakemake.params.settings),
    )
    write_table(snakemake.output[0], "tracks", tracks)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"build_tracks {snakemake.wildcards.part}"):
        main()
