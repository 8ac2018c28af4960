"""Cut the clips of a training part: aligned tracks and videos → the part's store of clips and its index."""

from pathlib import Path

from dfdc.config.paths import part_folder
from dfdc.data.schemas.alignment import ALIGNED, AlignedTrack
from dfdc.data.schemas.clips import CLIPS
from dfdc.data.schemas.videos import VIDEOS, TrainingVideo
from dfdc.data.tables import read_rows, write_table
from dfdc.stages.clips.cutting import extract_clips
from dfdc.stages.clips.settings.cutting import ClipSettings
from dfdc.system.jobs.log import rule_log
from dfdc.system.workers.processes import worker_count


def main() -> None:
    config, settings = snakemake.config, snakemake.params.settings
    clips = extract_clips(
        part_folder(config, snakemake.wildcards.part),
        read_rows(snakemake.input.aligned[0], ALIGNED, AlignedTrack),
        {video.video: video for video in read_rows(snakemake.input.videos, VIDEOS, TrainingVideo)},
        Path(snakemake.output.store),
        ClipSettings(**settings["clips"]),
        settings["detection"]["train"]["every"],
        config["data"]["max_unreadable"],  # affects only whether the job fails, not its output
        worker_count(config["speed"]["workers"], snakemake.threads),
        settings["data"]["video_timeout"],
        snakemake.params.wanted["pairs"],
    )
    write_table(snakemake.output.clips, CLIPS, clips)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"extract_clips {snakemake.wildcards.part}"):
        main()
