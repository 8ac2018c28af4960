"""Figures of validation clips, included only if there are some; and what the run says at its end of the calibration."""


onsuccess:
    from dfdc.figures.front_page import calibration_advice

    if words := calibration_advice(config):
        logger.warning(words)


rule draw_validation_figures:
    input:
        evaluation=rules.evaluate_validation.output.evaluation,
        calibration=rules.evaluate_validation.output.calibration,
        scores=rules.evaluate_validation.output.scores,
    output:
        calibration=figure("validation/calibration.svg", "Calibration"),
        conditions=figure("validation/conditions.svg", "Metrics under recompression"),
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
