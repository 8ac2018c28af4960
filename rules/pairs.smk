"""Pairs of clips, over all parts."""


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
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=settings("pairs"),
        # The rest of the section is the trainings'.
        validation={key: config["validation"][key] for key in ("parts", "share", "seed")},
        code=lambda wildcards: code("pair_clips"),
        unfinished=lambda wildcards: unfinished("pair_clips", wildcards),
    script:
        "../workflow/scripts/pair_clips.py"
