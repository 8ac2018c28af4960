"""How good the models are on clips kept out of training: tables of scores → measures, calibration, scores of clips."""

import json
from pathlib import Path

from dfdc.ensemble import EnsembleSettings
from dfdc.files import write_text
from dfdc.held_out_evaluation import PLAIN, evaluate_held_out
from dfdc.layout import read_metadata
from dfdc.log import logger, rule_log
from dfdc.tables import read_table, write_table


def main() -> None:
    methods = {
        (Path(path).parent.name, video): str(entry["method"])
        for path in snakemake.input.metadata
        for video, entry in read_metadata(path).items()
        if entry.get("method")
    }
    result, calibration, rows = evaluate_held_out(
        {Path(path).stem: read_table(path, "held_out") for path in snakemake.input.scores},
        methods,
        snakemake.params.enlarge,
        EnsembleSettings(**snakemake.params.settings),
    )
    write_text(snakemake.output.evaluation, json.dumps(result, indent=2) + "\n")
    write_text(snakemake.output.calibration, json.dumps(calibration, indent=2) + "\n")
    write_table(snakemake.output.scores, "evaluated", rows)
    plain = result["conditions"][PLAIN]["ensemble"]
    counts = f"{plain['clips']} clips of {plain['sources']} real videos and their fakes"
    logger.info(f"{counts}: log loss {plain['log_loss']}, AUC {plain['auc']}")


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "evaluate_held_out"):
        main()
