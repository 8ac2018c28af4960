"""Link the faces of a shard into tracks with a box for every kept frame: detections → tracks."""

from dfdc.data.schemas.detections import DETECTIONS, detected_faces
from dfdc.data.schemas.tracks import TRACKS, track_columns
from dfdc.data.schemas.videos import TEST_VIDEOS, TestVideo
from dfdc.data.tables import read_rows, read_table, write_table
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.faces.tracking import track_video
from dfdc.system.jobs.log import rule_log


def main() -> None:
    videos = read_rows(snakemake.input.videos, TEST_VIDEOS, TestVideo)
    detections = detected_faces(read_table(snakemake.input.detections, DETECTIONS), [video.video for video in videos])
    settings = TrackerSettings(**snakemake.params.settings["tracking"]["test"])
    every = snakemake.params.settings["detection"]["test"]["every"]
    tracks = [
        track
        for video, faces in zip(videos, detections, strict=True)
        for track in track_video(faces, video.frames, video.step * every, settings, video.step)
    ]
    write_table(snakemake.output[0], TRACKS, track_columns(tracks))


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"track_test_faces {snakemake.wildcards.shard}"):
        main()
