"""The demo's data set, generated from face images in a few Python packages."""


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
        environment("dfdc")
    threads: 8
    resources:
        **growing(),
    params:
        **shared("make_demo_data"),
        settings=settings("demo"),
    script:
        "../workflow/scripts/make_demo_data.py"
