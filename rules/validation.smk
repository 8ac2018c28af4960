"""Evaluation of the models on validation clips, and calibration."""


rule score_validation_clips:
    input:
        pairs=rules.pair_clips.output,
        # The index above contains a hash of every clip, so the stores themselves need not be compared.
        stores=ancient(expand(rules.extract_clips.output.store, part=PARTS)),
        weights=rules.export_weights.output,
    output:
        "results/validation/scores/{model}.parquet",
    log:
        "logs/score_validation_clips/{model}.log",
    benchmark:
        "benchmark/score_validation_clips/{model}.tsv"
    conda:
        environment("dfdc")
    threads: 8
    resources:
        **growing(mem_mb=16000, runtime=240),
        **gpus(),
    params:
        **shared("score_validation_clips", family_of_model),
        settings=lambda wildcards: settings(
            "evaluation", f"models.{wildcards.model}.frames", "prediction.precision", "torch_threads"
        ),
    script:
        "../workflow/scripts/score_validation_clips.py"


rule evaluate_validation:
    input:
        scores=expand(rules.score_validation_clips.output, model=MODELS),
        metadata=all_parts,
    output:
        evaluation="results/validation/evaluation.json",
        calibration="results/validation/calibration.json",
        scores="results/validation/evaluation.parquet",
    log:
        "logs/evaluate_validation.log",
    benchmark:
        "benchmark/evaluate_validation.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("evaluate_validation"),
        # Not `ensemble.calibration`, which only determines how the submission uses the result.
        metadata=metadata_of_parts,
        settings=settings(
            "ensemble.exponent", "ensemble.clip", "ensemble.weight_offset", "ensemble.unknown", "clips.enlarge"
        ),
    script:
        "../workflow/scripts/evaluate_validation.py"


# Released weights: with what they were trained on, how well they do, and how to score with them. What scoring needs
# besides the models, as in the sections of the config.
SCORING_KEYS = [
    "tracking.test",
    *(f"prediction.{key}" for key in config["prediction"] if key != "shards"),
    "ensemble",
    "data.max_pixels",
    "clips.frames",
    "torch_threads",
]

if TRAINED:

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
