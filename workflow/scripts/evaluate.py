"""Evaluate the scores of the test videos: tables of scores, labels → metrics, and video scores with labels."""

from dfdc.config.paths import test_labels_file
from dfdc.data.labels import read_details
from dfdc.data.schemas.evaluation import EVALUATED
from dfdc.data.tables import write_table
from dfdc.stages.evaluation.scored_videos import evaluate_tables
from dfdc.system.checksums import write_json
from dfdc.system.jobs.log import logger, rule_log


def main() -> None:
    result, rows = evaluate_tables(
        read_details(test_labels_file(snakemake.config)),
        snakemake.input.videos,
        snakemake.input.tracks,
        snakemake.input.scores,
        snakemake.params.models["models"],
        snakemake.params.settings["ensemble"],
        snakemake.input.calibration,
    )
    write_json(snakemake.output.evaluation, result)
    write_table(snakemake.output.scores, EVALUATED, rows)
    ensemble = result["ensemble"]
    logger.info(f"{ensemble['videos']} labelled videos: log loss {ensemble['log_loss']}, AUC {ensemble['auc']}")


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "evaluate"):
        main()
