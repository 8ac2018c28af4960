"""Compare the scores with the labels: tables of scores, labels → evaluation.json."""

import json
from pathlib import Path

from dfdc.ensemble import EnsembleSettings
from dfdc.evaluation import evaluate
from dfdc.files import write_text
from dfdc.layout import read_labels
from dfdc.log import logger, rule_log
from dfdc.tables import read_table


def main() -> None:
    videos = [row for path in snakemake.input.videos for row in read_table(path, "test_videos").to_pylist()]
    scores_of = {
        model: [read_table(path, "scores") for path in snakemake.input.scores if Path(path).parent.name == model]
        for model in snakemake.params.models
    }
    result = evaluate(
        read_labels(snakemake.input.labels), videos, scores_of, EnsembleSettings(**snakemake.params.settings)
    )
    write_text(snakemake.output[0], json.dumps(result, indent=2) + "\n")
    ensemble = result["ensemble"]
    logger.info(f"{ensemble['videos']} labelled videos: log loss {ensemble['log_loss']}, AUC {ensemble['auc']}")


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "evaluate"):
        main()
