"""Copy exported weights, and add their provenance and the settings for scoring with them."""

from pathlib import Path

from dfdc.data.schemas.pairs import PAIRS, Pair
from dfdc.data.schemas.validation_scores import VALIDATION_SCORES
from dfdc.data.tables import read_rows, read_table
from dfdc.networks.weights.release import release_weights, scoring_of_model
from dfdc.stages.evaluation.released import fitted_values, provenance_of, ranges_of
from dfdc.system.checksums import read_json
from dfdc.system.jobs.log import logger, rule_log


def main() -> None:
    settings, given = snakemake.params.settings, snakemake.input
    pairs = read_rows(given.pairs[0], PAIRS, Pair)
    evaluation = read_json(given.evaluation) if given.evaluation else None
    fitted = fitted_values(read_json(given.calibration)) if given.calibration else {}
    scores = {Path(path).stem: read_table(path, VALIDATION_SCORES) for path in given.scores}
    ranges = ranges_of(scores, settings["clips"]["enlarge"]) if scores else None
    for source, target in zip(given.weights, snakemake.output, strict=True):
        name = Path(source).parent.name
        provenance = provenance_of(
            name, settings["data"]["name"], snakemake.params.purpose["purpose"], pairs, evaluation
        )
        about = {
            "provenance": provenance,
            "scoring": scoring_of_model(settings, name),
            "fitted": fitted,
            "ranges": ranges,
        }
        release_weights(source, target, about)
    logger.info(f"{provenance['pairs']} pairs of {provenance['sources']} real videos; {len(given.weights)} files")


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "release_weights"):
        main()
