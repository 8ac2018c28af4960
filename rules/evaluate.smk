"""How good the scores of the test videos are, where their labels are known."""


rule evaluate:
    input:
        labels=TEST_LABELS,
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
        "../envs/dfdc.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=settings("ensemble"),
        models=MODELS,
        code=lambda wildcards: code("evaluate"),
        unfinished=lambda wildcards: unfinished("evaluate", wildcards),
    script:
        "../workflow/scripts/evaluate.py"
