"""Pairs of clips from all parts, and their recompressed variants."""


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


rule recompress_clips:
    input:
        pairs=rules.pair_clips.output,
        # The index above contains a hash of every clip, so the store itself need not be compared.
        store=ancient(str(rules.extract_clips.output.store)),
    output:
        streams="results/recompressed/{part}.arrow",
        variants="results/recompressed/{part}.parquet",
    log:
        "logs/recompress_clips/{part}.log",
    benchmark:
        "benchmark/recompress_clips/{part}.tsv"
    conda:
        environment("dfdc")
    threads: 8
    resources:
        **growing(mem_mb=16000, runtime=240),
    params:
        **shared("recompress_clips"),
        # How often training takes a recompressed clip does not concern them.
        settings=settings("clips.seed", *RECOMPRESSION_KEYS),
        frames={"last": None if config["training"]["recompression"]["whole_clip"] else LAST_FRAME},
    script:
        "../workflow/scripts/recompress_clips.py"
