"""Evaluation of further sets of labelled videos (data.external), which pass through the stages of the test videos."""


rule evaluate_external:
    input:
        videos=expand(rules.detect_test_faces.output.videos, shard=EXTERNAL_SHARDS),
        tracks=expand(rules.track_test_faces.output, shard=EXTERNAL_SHARDS),
        scores=expand(rules.score.output, model=MODELS, shard=EXTERNAL_SHARDS),
        calibration=CALIBRATION,
    output:
        evaluation="results/external/{external}/evaluation.json",
        scores="results/external/{external}/evaluation.parquet",
    log:
        "logs/evaluate_external/{external}.log",
    benchmark:
        "benchmark/evaluate_external/{external}.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("evaluate_external"),
        settings=settings("ensemble"),
        labels=labels_of_external,
        models={"models": MODELS},
    script:
        "../workflow/scripts/evaluate_external.py"
