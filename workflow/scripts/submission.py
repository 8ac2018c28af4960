"""Combine the scores of all models: tables of scores → submission.csv and its checksum."""

from dfdc.data.schemas.scores import SCORES
from dfdc.data.schemas.videos import TEST_VIDEOS
from dfdc.data.tables import read_table
from dfdc.stages.prediction.ensemble import ensemble_settings, submission_csv, video_scores
from dfdc.system.checksums import write_sum
from dfdc.system.files import write_text
from dfdc.system.jobs.log import logger, rule_log


def main() -> None:
    videos = [video for path in snakemake.input.videos for video in read_table(path, TEST_VIDEOS)["video"].to_pylist()]
    scores = [read_table(path, SCORES) for path in snakemake.input.scores]
    settings = ensemble_settings(snakemake.params.settings["ensemble"], snakemake.input.calibration)
    write_text(snakemake.output.submission, submission_csv(video_scores(videos, scores, settings)))
    write_sum(snakemake.output.checksum, snakemake.output.submission)
    logger.info(f"{len(videos)} videos scored")


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "submission"):
        main()
