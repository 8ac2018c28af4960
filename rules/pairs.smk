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
        "../envs/dfdc.yaml"
    resources:
        **growing(),
    params:
        **shared("pair_clips"),
        settings=settings("pairs"),
        # The other keys of the section are used in training.
        validation={key: config["validation"][key] for key in ("parts", "share", "seed")},
    script:
        "../workflow/scripts/pair_clips.py"
