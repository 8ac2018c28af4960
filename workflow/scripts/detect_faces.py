"""Find the faces in a training part: metadata.json and its videos → tables of detections and of videos."""

from pathlib import Path

from dfdc.detection import DetectionSettings, detect_faces
from dfdc.layout import read_metadata
from dfdc.log import rule_log
from dfdc.parallel import worker_count
from dfdc.tables import write_table


def main(device: str) -> None:
    metadata, speed = Path(snakemake.input.metadata), snakemake.config["speed"]
    detections, videos = detect_faces(
        metadata.parent,
        read_metadata(metadata),
        DetectionSettings(**snakemake.params.settings),
        snakemake.config["data"]["max_unreadable"],  # it decides whether the job fails, and not what it writes
        device=device,
        workers=worker_count(speed["workers"], snakemake.threads),
        batch_size=speed["batch_size"],
        video_timeout=snakemake.params.video_timeout,
    )
    write_table(snakemake.output.detections, "detections", detections)
    write_table(snakemake.output.videos, "videos", videos)


if __name__ == "__main__":
    # Not above: worker processes import this script, too, and those that need no torch save 200 MB and seconds each.
    from dfdc.gpus import job_device

    with (
        rule_log(snakemake.log[0], f"detect_faces {snakemake.wildcards.part}"),
        job_device(snakemake.config["speed"]["device"], snakemake.resources.gpu) as device,
    ):
        main(str(device))
