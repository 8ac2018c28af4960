"""Detect the faces in a training part: metadata.json and its videos → tables of detections and of videos."""

from dfdc.config.paths import part_folder
from dfdc.data.parts import read_metadata
from dfdc.data.schemas.detections import DETECTIONS, face_columns
from dfdc.data.schemas.videos import VIDEOS
from dfdc.data.tables import write_table
from dfdc.stages.faces.detection.detect import detect_faces
from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.system.jobs.log import rule_log
from dfdc.system.workers.processes import worker_count


def main(device: str) -> None:
    config, settings = snakemake.config, snakemake.params.settings
    folder, speed = part_folder(config, snakemake.wildcards.part), config["speed"]
    detections, videos = detect_faces(
        folder,
        read_metadata(folder / "metadata.json"),
        DetectionSettings(**settings["detection"]["train"]),
        config["data"]["max_unreadable"],  # affects only whether the job fails, not its output
        device=device,
        workers=worker_count(speed["workers"], snakemake.threads),
        batch_size=speed["batch_size"],
        video_timeout=settings["data"]["video_timeout"],
        max_pixels=settings["data"]["max_pixels"],
    )
    write_table(snakemake.output.detections, DETECTIONS, face_columns(detections))
    write_table(snakemake.output.videos, VIDEOS, videos)


if __name__ == "__main__":
    # Imported late: worker processes import this script too, and without torch each saves 200 MB and some seconds.
    from dfdc.system.jobs.devices import job_device, requested_gpus

    with (
        rule_log(snakemake.log[0], f"detect_faces {snakemake.wildcards.part}"),
        job_device(snakemake.config["speed"]["device"], requested_gpus(snakemake.resources)) as device,
    ):
        main(str(device))
