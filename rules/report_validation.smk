"""Figures of validation clips, included only if there are some."""


rule draw_validation_figures:
    input:
        evaluation=rules.evaluate_validation.output.evaluation,
        calibration=rules.evaluate_validation.output.calibration,
        scores=rules.evaluate_validation.output.scores,
    output:
        calibration=figure("validation/calibration.svg", "Validation clips", "Calibration before and after"),
        conditions=figure("validation/conditions.svg", "Validation clips", "Measures by compression"),
    log:
        "logs/draw_validation_figures.log",
    benchmark:
        "benchmark/draw_validation_figures.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("draw_validation_figures"),
    script:
        "../workflow/scripts/draw_validation_figures.py"
