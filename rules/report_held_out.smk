"""Figures of the clips that were kept out of training, which are there where some are."""


rule draw_held_out_figures:
    input:
        evaluation=rules.evaluate_held_out.output.evaluation,
        calibration=rules.evaluate_held_out.output.calibration,
        scores=rules.evaluate_held_out.output.scores,
    output:
        calibration=figure("held_out/calibration.svg", "Held-out clips", "Calibration before and after"),
        conditions=figure("held_out/conditions.svg", "Held-out clips", "Measures by compression"),
    log:
        "logs/draw_held_out_figures.log",
    benchmark:
        "benchmark/draw_held_out_figures.tsv"
    conda:
        "../envs/dfdc.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        code=lambda wildcards: code("draw_held_out_figures"),
        unfinished=lambda wildcards: unfinished("draw_held_out_figures", wildcards),
    script:
        "../workflow/scripts/draw_held_out_figures.py"
