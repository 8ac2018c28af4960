"""The demo's data set, made from the faces in a few Python packages."""


rule make_demo_data:
    output:
        metadata=expand(DATA / "{part}" / "metadata.json", part=PARTS),
        videos=directory(TEST_VIDEOS),
        labels=TEST_LABELS,
    log:
        "logs/make_demo_data.log",
    benchmark:
        "benchmark/make_demo_data.tsv"
    conda:
        "../envs/dfdc.yaml"
    threads: 8
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=settings("demo"),
        code=lambda wildcards: code("make_demo_data"),
        unfinished=lambda wildcards: unfinished("make_demo_data", wildcards),
    script:
        "../workflow/scripts/make_demo_data.py"
