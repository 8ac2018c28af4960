"""Combine the scores of all models: tables of scores → submission.csv."""

from dfdc.ensemble import ensemble_settings, submission_csv, video_scores
from dfdc.files import write_text
from dfdc.log import logger, rule_log
from dfdc.tables import read_table


def main() -> None:
    videos = [
        video for path in snakemake.input.videos for video in read_table(path, "test_videos")["video"].to_pylist()
    ]
    scores = [read_table(path, "scores") for path in snakemake.input.scores]
    settings = ensemble_settings(snakemake.params.settings, snakemake.input.calibration)
    write_text(snakemake.output[0], submission_csv(video_scores(videos, scores, settings)))
    logger.info(f"{len(videos)} videos scored")


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "submission"):
        main()
