"""Detect the faces in a shard of the test videos: videos → tables of detections and of videos."""

from dfdc.config.paths import external_and_number, scored_folder
from dfdc.data.parts import videos_by_shard
from dfdc.data.schemas.detections import DETECTIONS, face_columns
from dfdc.data.schemas.videos import TEST_VIDEOS
from dfdc.data.tables import write_table
from dfdc.stages.faces.detection.detect import detect_test_faces
from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.system.jobs.log import rule_log
from dfdc.system.workers.processes import worker_count


def main(device: str) -> None:
    config, settings = snakemake.config, snakemake.params.settings
    external, number = external_and_number(snakemake.wildcards.shard)
    videos = videos_by_shard(scored_folder(config, external), settings["prediction"]["shards"])
    speed = config["speed"]
    detections, rows = detect_test_faces(
        videos[number],
        DetectionSettings(**settings["detection"]["test"]),
        settings["prediction"]["fps"],
        device=device,
        workers=worker_count(speed["workers"], snakemake.threads),
        batch_size=speed["batch_size"],
        video_timeout=settings["data"]["video_timeout"],
        max_pixels=settings["data"]["max_pixels"],
    )
    write_table(snakemake.output.detections, DETECTIONS, face_columns(detections))
    write_table(snakemake.output.videos, TEST_VIDEOS, rows)


if __name__ == "__main__":
    # Imported late: worker processes import this script too, and without torch each saves 200 MB and some seconds.
    from dfdc.system.jobs.devices import job_device, requested_gpus

    with (
        rule_log(snakemake.log[0], f"detect_test_faces {snakemake.wildcards.shard}"),
        job_device(snakemake.config["speed"]["device"], requested_gpus(snakemake.resources)) as device,
    ):
        main(str(device))
