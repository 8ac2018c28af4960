"""Weights: conversion of pretrained weights, training, and export for prediction."""


rule convert_pretrained:
    output:
        "results/weights/{architecture}.safetensors",
    log:
        "logs/convert_pretrained/{architecture}.log",
    benchmark:
        "benchmark/convert_pretrained/{architecture}.tsv"
    conda:
        environment("convert")
    resources:
        **growing(mem_mb=8000),
    params:
        **shared("convert_pretrained", lambda wildcards: family_module(wildcards.architecture)),
        weights=lambda wildcards: hash_of_weights(
            config["pretrained"][wildcards.architecture], f"results/weights/{wildcards.architecture}.safetensors"
        ),
    script:
        "../workflow/scripts/convert_pretrained.py"


rule train:
    input:
        pairs=rules.pair_clips.output,
        variants=expand(rules.recompress_clips.output.variants, part=PARTS) if RECOMPRESSED else [],
        # The tables above contain a hash of every clip and variant, so the stores themselves need not be compared.
        stores=ancient(expand(rules.extract_clips.output.store, part=PARTS)),
        streams=ancient(expand(rules.recompress_clips.output.streams, part=PARTS)) if RECOMPRESSED else [],
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
        environment("dfdc")
    threads: 16
    resources:
        **growing(mem_mb=64000, runtime=4320),
        **gpus(),
    params:
        **shared("train", family_of_model),
        settings=lambda wildcards: settings(
            *model_keys(wildcards.model, MODEL_KEYS),
            "training",
            "validation.every",
            "validation.pairs",
            "torch_threads",
        ),
    script:
        "../workflow/scripts/train.py"


rule export_weights:
    input:
        weights=trained_weights_of,
    output:
        "results/models/{model}/weights.fp16.safetensors",
    log:
        "logs/export_weights/{model}.log",
    benchmark:
        "benchmark/export_weights/{model}.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(mem_mb=8000),
    params:
        **shared("export_weights", family_of_model),
        settings=lambda wildcards: settings(*model_keys(wildcards.model, MODEL_KEYS)),
        weights=lambda wildcards: hash_of_weights(
            config["models"][wildcards.model]["weights"], f"results/models/{wildcards.model}/weights.fp16.safetensors"
        ),
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
        environment("dfdc")
    resources:
        **growing(mem_mb=8000),
    params:
        **shared("export_pth", family_of_model),
    script:
        "../workflow/scripts/export_pth.py"
