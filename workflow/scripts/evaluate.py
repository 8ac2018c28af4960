"""Evaluate the scores of the test videos: tables of scores, labels → metrics, and video scores with labels."""

from pathlib import Path

from dfdc.config.paths import test_labels_file
from dfdc.data.labels import read_details
from dfdc.data.schemas.evaluation import EVALUATED
from dfdc.data.schemas.scores import SCORES
from dfdc.data.schemas.tracks import TRACKS
from dfdc.data.schemas.videos import TEST_VIDEOS, TestVideo
from dfdc.data.tables import read_rows, read_table, write_table
from dfdc.stages.evaluation.report import evaluate
from dfdc.stages.prediction.ensemble import ensemble_settings
from dfdc.system.checksums import write_json
from dfdc.system.jobs.log import logger, rule_log


def main() -> None:
    ensemble = snakemake.params.settings["ensemble"]
    videos = [video for path in snakemake.input.videos for video in read_rows(path, TEST_VIDEOS, TestVideo)]
    scores_of = {
        model: [read_table(path, SCORES) for path in snakemake.input.scores if Path(path).parent.name == model]
        for model in snakemake.params.models["models"]
    }
    result, rows = evaluate(
        read_details(test_labels_file(snakemake.config)),
        videos,
        [read_table(path, TRACKS) for path in snakemake.input.tracks],
        scores_of,
        ensemble_settings(ensemble, snakemake.input.calibration),
        ensemble["calibration"],
    )
    write_json(snakemake.output.evaluation, result)
    write_table(snakemake.output.scores, EVALUATED, rows)
    ensemble = result["ensemble"]
    logger.info(f"{ensemble['videos']} labelled videos: log loss {ensemble['log_loss']}, AUC {ensemble['auc']}")


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "evaluate"):
        main()
