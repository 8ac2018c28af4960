"""Evaluation of the scores of test videos, if their labels are known."""


rule evaluate:
    input:
        labels=test_labels,
        videos=expand(rules.detect_test_faces.output.videos, shard=SHARDS),
        tracks=expand(rules.track_test_faces.output, shard=SHARDS),
        scores=expand(rules.score.output, model=MODELS, shard=SHARDS),
        calibration=CALIBRATION,
    output:
        evaluation="results/evaluation.json",
        scores="results/evaluation.parquet",
    log:
        "logs/evaluate.log",
    benchmark:
        "benchmark/evaluate.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("evaluate"),
        settings=settings("ensemble"),
        labels=labels_of_test_videos("results/evaluation.json"),
        models={"models": MODELS},
    script:
        "../workflow/scripts/evaluate.py"
