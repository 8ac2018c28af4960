"""Find the faces in a training part: metadata.json and its videos → tables of detections and of videos."""

from pathlib import Path

import torch

from dfdc.detection import DetectionSettings, detect_faces
from dfdc.gpus import job_device
from dfdc.layout import read_metadata
from dfdc.log import rule_log
from dfdc.parallel import worker_count
from dfdc.tables import write_table


def main(device: torch.device) -> None:
    metadata, speed = Path(snakemake.input.metadata), snakemake.config["speed"]
    detections, videos = detect_faces(
        metadata.parent,
        read_metadata(metadata),
        DetectionSettings(**snakemake.params.settings),
        snakemake.config["data"]["max_unreadable"],  # it decides whether the job fails, and not what it writes
        device=str(device),
        workers=worker_count(speed["workers"], snakemake.threads),
        batch_size=speed["batch_size"],
    )
    write_table(snakemake.output.detections, "detections", detections)
    write_table(snakemake.output.videos, "videos", videos)


if __name__ == "__main__":
    with (
        rule_log(snakemake.log[0], f"detect_faces {snakemake.wildcards.part}"),
        job_device(snakemake.config["speed"]["device"], snakemake.resources.gpu) as device,
    ):
        main(device)
