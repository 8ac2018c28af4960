"""Link the faces of a training part into tracks: detections → tracks."""

from dfdc.data.schemas.detections import DETECTIONS, detected_faces
from dfdc.data.schemas.tracks import TRACKS, track_columns
from dfdc.data.schemas.videos import VIDEOS, TrainingVideo
from dfdc.data.tables import read_rows, read_table, write_table
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.faces.tracking import track_video
from dfdc.system.jobs.log import rule_log


def main() -> None:
    videos = read_rows(snakemake.input.videos, VIDEOS, TrainingVideo)
    detections = detected_faces(read_table(snakemake.input.detections, DETECTIONS), [video.video for video in videos])
    settings = TrackerSettings(**snakemake.params.settings["tracking"]["train"])
    every = snakemake.params.settings["detection"]["train"]["every"]
    tracks = [
        track
        for video, faces in zip(videos, detections, strict=True)
        for track in track_video(faces, video.frames, every, settings)
    ]
    write_table(snakemake.output[0], TRACKS, track_columns(tracks))


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"build_tracks {snakemake.wildcards.part}"):
        main()
