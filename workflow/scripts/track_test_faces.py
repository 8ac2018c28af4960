"""Link the faces of a shard to tracks with a box for every kept frame: detections → tracks."""

from dfdc.log import rule_log
from dfdc.tables import read_table, write_table
from dfdc.tracking import TrackerSettings, build_tracks


def main() -> None:
    videos = read_table(snakemake.input.videos, "test_videos").to_pylist()
    kept = {video["video"]: video["step"] for video in videos}
    tracks = build_tracks(
        read_table(snakemake.input.detections, "detections"),
        {video["video"]: video["frames"] for video in videos},
        {video: step * snakemake.params.every for video, step in kept.items()},
        TrackerSettings(**snakemake.params.settings),
        keep_every=kept,
    )
    write_table(snakemake.output[0], "tracks", tracks)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"track_test_faces {snakemake.wildcards.shard}"):
        main()
