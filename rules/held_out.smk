"""How good the models are on clips that were kept out of training, and the calibration that these ask for."""


rule score_held_out:
    input:
        pairs=rules.pair_clips.output,
        # The index above has a hash of every clip: the stores themselves need not be compared.
        stores=ancient(expand(rules.extract_clips.output.store, part=PARTS)),
        weights=rules.export_weights.output,
    output:
        "results/held_out/scores/{model}.parquet",
    log:
        "logs/score_held_out/{model}.log",
    benchmark:
        "benchmark/score_held_out/{model}.tsv"
    conda:
        "../envs/dfdc.yaml"
    threads: 8
    resources:
        gpu=gpus(),
        mem_mb=growing(16000),
        runtime=growing(240),
    params:
        settings=settings("evaluation"),
        model=lambda wildcards: model_settings(wildcards.model, "frames"),
        torch_threads=settings("torch_threads"),
        code=lambda wildcards: code("score_held_out"),
        unfinished=lambda wildcards: unfinished("score_held_out", wildcards),
    script:
        "../workflow/scripts/score_held_out.py"


rule evaluate_held_out:
    input:
        scores=expand(rules.score_held_out.output, model=MODELS),
        metadata=expand(DATA / "{part}" / "metadata.json", part=PARTS),
    output:
        evaluation="results/held_out/evaluation.json",
        calibration="results/held_out/calibration.json",
        scores="results/held_out/evaluation.parquet",
    log:
        "logs/evaluate_held_out.log",
    benchmark:
        "benchmark/evaluate_held_out.tsv"
    conda:
        "../envs/dfdc.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        # Not `calibration`, which says what the submission makes of what is found here.
        settings={key: config["ensemble"][key] for key in ("exponent", "clip", "weight_offset", "unknown")},
        enlarge=settings("clips", "enlarge"),
        code=lambda wildcards: code("evaluate_held_out"),
        unfinished=lambda wildcards: unfinished("evaluate_held_out", wildcards),
    script:
        "../workflow/scripts/evaluate_held_out.py"
