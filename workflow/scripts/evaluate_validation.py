"""Evaluate the models on validation clips: tables of scores → metrics, calibration, clip scores."""

from pathlib import Path

from dfdc.config.paths import part_folder
from dfdc.data.parts import read_metadata
from dfdc.data.schemas.evaluation import EVALUATED
from dfdc.data.schemas.validation_scores import VALIDATION_SCORES
from dfdc.data.tables import read_table, write_table
from dfdc.stages.evaluation.advice import advice, setting_of
from dfdc.stages.evaluation.validation_report import PLAIN, evaluate_validation
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.system.checksums import write_json
from dfdc.system.jobs.log import logger, rule_log


def main() -> None:
    settings = snakemake.params.settings
    methods = {
        (part, video): str(entry["method"])
        for part in snakemake.params.metadata["metadata"]
        for video, entry in read_metadata(part_folder(snakemake.config, part) / "metadata.json").items()
        if entry.get("method")
    }
    result, calibration, rows = evaluate_validation(
        {Path(path).stem: read_table(path, VALIDATION_SCORES) for path in snakemake.input.scores},
        methods,
        settings["clips"]["enlarge"],
        EnsembleSettings(**settings["ensemble"]),
    )
    better = {"calibration": {"better": calibration["better"], "setting": setting_of(calibration)}}
    write_json(snakemake.output.evaluation, result | better)
    write_json(snakemake.output.calibration, calibration)
    write_table(snakemake.output.scores, EVALUATED, rows)
    plain = result["conditions"][PLAIN]["ensemble"]
    counts = f"{plain['clips']} clips of {plain['sources']} real videos and their fakes"
    logger.info(f"{counts}: log loss {plain['log_loss']}, AUC {plain['auc']}")
    if words := advice(calibration):
        logger.warning(words)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "evaluate_validation"):
        main()
