"""Crop the faces of a shard: tracks and videos → the shard's store of faces and its index."""

from pathlib import Path

from dfdc.config.paths import external_and_number, scored_folder
from dfdc.data.schemas.crops import CROPS
from dfdc.data.schemas.tracks import TRACKS, tracks_of
from dfdc.data.schemas.videos import TEST_VIDEOS, TestVideo
from dfdc.data.tables import read_rows, read_table, write_table
from dfdc.stages.prediction.crops import crop_test_faces
from dfdc.stages.prediction.settings.crops import CropSettings
from dfdc.system.jobs.log import rule_log
from dfdc.system.workers.processes import worker_count


def main() -> None:
    config, settings = snakemake.config, snakemake.params.settings
    external, _ = external_and_number(snakemake.wildcards.shard)
    crops = crop_test_faces(
        scored_folder(config, external),
        tracks_of(read_table(snakemake.input.tracks[0], TRACKS)),
        {video.video: video for video in read_rows(snakemake.input.videos, TEST_VIDEOS, TestVideo)},
        Path(snakemake.output.store),
        CropSettings(**settings["prediction"], kinds=tuple(snakemake.params.kinds["kinds"])),
        config["data"]["max_unreadable"],  # affects only whether the job fails, not its output
        worker_count(config["speed"]["workers"], snakemake.threads),
        settings["data"]["video_timeout"],
    )
    write_table(snakemake.output.crops, CROPS, crops)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"crop_test_faces {snakemake.wildcards.shard}"):
        main()
