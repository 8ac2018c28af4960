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
