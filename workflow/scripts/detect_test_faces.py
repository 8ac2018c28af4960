"""Find the faces in a shard of the test videos: videos → tables of detections and of videos."""

import torch

from dfdc.detection import DetectionSettings, detect_test_faces
from dfdc.gpus import job_device
from dfdc.layout import shard_videos
from dfdc.log import rule_log
from dfdc.parallel import worker_count
from dfdc.tables import write_table


def main(device: torch.device) -> None:
    params, speed = snakemake.params, snakemake.config["speed"]
    detections, videos = detect_test_faces(
        shard_videos(snakemake.input.videos, int(snakemake.wildcards.shard), params.shards),
        DetectionSettings(**params.settings),
        params.fps,
        device=str(device),
        workers=worker_count(speed["workers"], snakemake.threads),
        batch_size=speed["batch_size"],
    )
    write_table(snakemake.output.detections, "detections", detections)
    write_table(snakemake.output.videos, "test_videos", videos)


if __name__ == "__main__":
    with (
        rule_log(snakemake.log[0], f"detect_test_faces {snakemake.wildcards.shard}"),
        job_device(snakemake.config["speed"]["device"], snakemake.resources.gpu) as device,
    ):
        main(device)
