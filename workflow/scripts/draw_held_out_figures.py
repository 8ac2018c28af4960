"""Draw how good the models are on clips that were kept out of training, and what calibration these ask for."""

import json
from pathlib import Path

from dfdc.figures.held_out import draw_calibration, draw_conditions
from dfdc.log import rule_log
from dfdc.tables import read_table


def main() -> None:
    given, output = snakemake.input, snakemake.output
    evaluation, calibration = (
        json.loads(Path(path).read_text("utf-8")) for path in (given.evaluation, given.calibration)
    )
    draw_calibration(output.calibration, read_table(given.scores, "evaluated"), calibration)
    draw_conditions(output.conditions, evaluation)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "draw_held_out_figures"):
        main()
