"""Pairs of clips from all parts."""


rule pair_clips:
    input:
        expand(rules.extract_clips.output.clips, part=PARTS),
    output:
        "results/pairs.parquet",
    log:
        "logs/pair_clips.log",
    benchmark:
        "benchmark/pair_clips.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("pair_clips"),
        # The other keys of the section validation are used in training.
        settings=settings("pairs", "validation.parts", "validation.share", "validation.seed"),
    script:
        "../workflow/scripts/pair_clips.py"
