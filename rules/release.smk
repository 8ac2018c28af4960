"""Weights to hand on: with what they were trained on, how well they do, and how to score with them."""

# What scoring needs besides the models, as in the sections of the config.
SCORING_KEYS = [
    "tracking.test",
    *(f"prediction.{key}" for key in config["prediction"] if key != "shards"),
    "ensemble",
    "data.max_pixels",
    "clips.frames",
    "torch_threads",
]


rule release_weights:
    input:
        weights=expand(rules.export_weights.output, model=TRAINED),
        pairs=rules.pair_clips.output,
        evaluation=rules.evaluate_validation.output.evaluation if VALIDATED else [],
        calibration=rules.evaluate_validation.output.calibration if VALIDATED else [],
        scores=rules.evaluate_validation.input.scores if VALIDATED else [],
    output:
        RELEASED,
    log:
        "logs/release_weights.log",
    benchmark:
        "benchmark/release_weights.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(mem_mb=8000),
    params:
        **shared("release_weights"),
        purpose={"purpose": "demonstration" if "demo" in config else None},
        settings=detection_settings(
            *("test", "data.name", "clips.enlarge", *SCORING_KEYS),
            *(key for name in TRAINED for key in model_keys(name, RELEASED_KEYS)),
        ),
    script:
        "../workflow/scripts/release_weights.py"
