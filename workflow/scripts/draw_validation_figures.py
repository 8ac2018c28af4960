"""Plot the evaluation on validation clips and the calibration."""

from dfdc.data.schemas.evaluation import EVALUATED
from dfdc.data.tables import read_table
from dfdc.figures.validation import plot_calibration, plot_conditions
from dfdc.system.checksums import read_json
from dfdc.system.jobs.log import rule_log


def main() -> None:
    inputs, output = snakemake.input, snakemake.output
    evaluation, calibration = read_json(inputs.evaluation), read_json(inputs.calibration)
    plot_calibration(output.calibration, read_table(inputs.scores, EVALUATED), calibration)
    plot_conditions(output.conditions, evaluation)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "draw_validation_figures"):
        main()
