"""Link the faces of a shard to tracks with a box for every kept frame: detections → tracks."""

from dfdc.data.schemas.faces import DETECTIONS, TEST_VIDEOS
from dfdc.data.schemas.tracks import TRACKS
from dfdc.data.tables import read_table, write_table
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.faces.tracking import build_tracks
from dfdc.system.jobs.log import rule_log


def main() -> None:
    videos = read_table(snakemake.input.videos, TEST_VIDEOS).to_pylist()
    kept = {video["video"]: video["step"] for video in videos}
    tracks = build_tracks(
        read_table(snakemake.input.detections, DETECTIONS),
        {video["video"]: video["frames"] for video in videos},
        {video: step * snakemake.params.every for video, step in kept.items()},
        TrackerSettings(**snakemake.params.settings),
        keep_every=kept,
    )
    write_table(snakemake.output[0], TRACKS, tracks)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"track_test_faces {snakemake.wildcards.shard}"):
        main()
