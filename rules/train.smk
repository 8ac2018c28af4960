"""Weights: where trainings start, the trainings, and what they give to prediction."""


rule convert_pretrained:
    input:
        lambda wildcards: existing(config["pretrained"][wildcards.architecture]),
    output:
        "results/weights/{architecture}.safetensors",
    log:
        "logs/convert_pretrained/{architecture}.log",
    benchmark:
        "benchmark/convert_pretrained/{architecture}.tsv"
    conda:
        "../envs/convert.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    params:
        source=lambda wildcards: config["pretrained"][wildcards.architecture],
        code=lambda wildcards: code("convert_pretrained"),
        unfinished=lambda wildcards: unfinished("convert_pretrained", wildcards),
    script:
        "../workflow/scripts/convert_pretrained.py"


rule train:
    input:
        pairs=rules.pair_clips.output,
        # The index above has a hash of every clip: the stores themselves need not be compared.
        stores=ancient(expand(rules.extract_clips.output.store, part=PARTS)),
        pretrained=pretrained_of,
    output:
        weights="results/models/{model}/weights.safetensors",
        metrics="results/models/{model}/metrics.parquet",
        validation="results/models/{model}/validation.parquet",
    log:
        "logs/train/{model}.log",
    benchmark:
        "benchmark/train/{model}.tsv"
    conda:
        "../envs/dfdc.yaml"
    threads: 16
    resources:
        gpu=gpus(),
        mem_mb=growing(64000),
        runtime=growing(4320),
    params:
        model=lambda wildcards: model_settings(wildcards.model, *MODEL_KEYS),
        training=settings("training"),
        validation={key: config["validation"][key] for key in ("every", "pairs")},
        torch_threads=settings("torch_threads"),
        code=lambda wildcards: code("train"),
        unfinished=lambda wildcards: unfinished("train", wildcards),
    script:
        "../workflow/scripts/train.py"


rule export_weights:
    input:
        weights=weights_of,
    output:
        "results/models/{model}/weights.fp16.safetensors",
    log:
        "logs/export_weights/{model}.log",
    benchmark:
        "benchmark/export_weights/{model}.tsv"
    conda:
        "../envs/dfdc.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    params:
        model=lambda wildcards: model_settings(wildcards.model, *MODEL_KEYS),
        code=lambda wildcards: code("export_weights"),
        unfinished=lambda wildcards: unfinished("export_weights", wildcards),
    script:
        "../workflow/scripts/export_weights.py"


rule export_pth:
    input:
        rules.export_weights.output,
    output:
        "results/models/{model}/weights.fp16.pth",
    log:
        "logs/export_pth/{model}.log",
    benchmark:
        "benchmark/export_pth/{model}.tsv"
    conda:
        "../envs/dfdc.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    params:
        code=lambda wildcards: code("export_pth"),
        unfinished=lambda wildcards: unfinished("export_pth", wildcards),
    script:
        "../workflow/scripts/export_pth.py"
