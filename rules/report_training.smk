"""Figures of the training stages, included only if models are trained."""


rule draw_data_figures:
    input:
        videos=expand(rules.detect_faces.output.videos, part=PARTS),
        detections=expand(rules.detect_faces.output.detections, part=PARTS),
        tracks=expand(rules.build_tracks.output, part=PARTS),
        aligned=expand(rules.align_tracks.output, part=PARTS),
        clips=expand(rules.extract_clips.output.clips, part=PARTS),
    output:
        videos=figure("data/videos.svg", "Videos by state"),
        faces=figure("data/faces.svg", "Faces per frame"),
        heights=figure("data/heights.svg", "Face heights"),
        tracks=figure("data/tracks.svg", "Track durations"),
        alignment=figure("data/alignment.svg", "Aligned tracks"),
        clips=figure("data/clips.svg", "Clip lengths and differences"),
    log:
        "logs/draw_data_figures.log",
    benchmark:
        "benchmark/draw_data_figures.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("draw_data_figures"),
        settings=settings("detection.train.every"),
    script:
        "../workflow/scripts/draw_data_figures.py"


rule draw_sample_figures:
    input:
        pairs=rules.pair_clips.output,
        # The index above contains a hash of every clip, so the stores themselves need not be compared.
        stores=ancient(expand(rules.extract_clips.output.store, part=PARTS)),
        variants=expand(rules.recompress_clips.output.variants, part=PARTS) if RECOMPRESSED else [],
    output:
        **({"variants": figure("samples/variants.jpg", "Recompressed variants")} if RECOMPRESSED else {}),
        **(
            {"frame": figure("samples/frame_inputs.jpg", "Inputs of the frame models")}
            if "frame" in TRAINED_KINDS
            else {}
        ),
        **(
            {"sequence": figure("samples/sequence_input.jpg", "Input of the sequence model")}
            if "sequence" in TRAINED_KINDS
            else {}
        ),
        clips=figure("samples/clips.jpg", "Clips"),
        clip=figure("samples/clip.jpg", "A clip's frames"),
        mixup=figure("samples/mixup.jpg", "Mixup"),
        augmented=figure("samples/augmented_mixup.jpg", "Augmented mixup"),
    log:
        "logs/draw_sample_figures.log",
    benchmark:
        "benchmark/draw_sample_figures.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("draw_sample_figures"),
        settings=settings(
            *(path for name in TRAINED for path in model_keys(name, SAMPLE_KEYS)),
            "training.flip",
            "training.autoaugment",
            "training.recompression",
            "training.mixup_alpha",
        ),
    script:
        "../workflow/scripts/draw_sample_figures.py"


rule draw_training_figures:
    input:
        metrics=expand(rules.train.output.metrics, model=TRAINED),
        validation=expand(rules.train.output.validation, model=TRAINED),
    output:
        training=figure("training/training.svg", "Loss, gradient norm, learning rate"),
        validation=figure("training/validation.svg", "Validation"),
    log:
        "logs/draw_training_figures.log",
    benchmark:
        "benchmark/draw_training_figures.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("draw_training_figures"),
        models={"models": TRAINED},
        settings=settings("training.mixup_alpha", "training.warmup_iterations"),
    script:
        "../workflow/scripts/draw_training_figures.py"
