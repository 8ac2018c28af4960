"""Training videos, part by part: faces, tracks, aligned tracks, clips."""


rule detect_faces:
    input:
        metadata=part_of,
    output:
        detections="results/detections/{part}.parquet",
        videos="results/videos/{part}.parquet",
    log:
        "logs/detect_faces/{part}.log",
    benchmark:
        "benchmark/detect_faces/{part}.tsv"
    conda:
        environment("dfdc")
    threads: 8
    resources:
        **growing(mem_mb=16000, runtime=720),
        **gpus(config["detection"]["train"]["detector"] != "yunet"),
    params:
        **shared("detect_faces", DETECTORS[config["detection"]["train"]["detector"]]),
        settings=detection_settings("train", "data.video_timeout", "data.max_pixels"),
        videos=videos_of_part,
        weights=lambda wildcards: hash_of_weights(
            config["detection"]["train"]["weights"], f"results/videos/{wildcards.part}.parquet"
        ),
    script:
        "../workflow/scripts/detect_faces.py"


rule build_tracks:
    input:
        detections=rules.detect_faces.output.detections,
        videos=rules.detect_faces.output.videos,
    output:
        "results/tracks/{part}.parquet",
    log:
        "logs/build_tracks/{part}.log",
    benchmark:
        "benchmark/build_tracks/{part}.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("build_tracks"),
        settings=settings("tracking.train", "detection.train.every"),
    script:
        "../workflow/scripts/build_tracks.py"


rule align_tracks:
    input:
        tracks=rules.build_tracks.output,
        videos=rules.detect_faces.output.videos,
    output:
        "results/aligned/{part}.parquet",
    log:
        "logs/align_tracks/{part}.log",
    benchmark:
        "benchmark/align_tracks/{part}.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("align_tracks"),
        settings=settings("alignment"),
    script:
        "../workflow/scripts/align_tracks.py"


rule extract_clips:
    input:
        aligned=rules.align_tracks.output,
        videos=rules.detect_faces.output.videos,
        metadata=ancient(part_of),
    output:
        store="results/clips/{part}.arrow",
        clips="results/clips/{part}.parquet",
    log:
        "logs/extract_clips/{part}.log",
    benchmark:
        "benchmark/extract_clips/{part}.tsv"
    conda:
        environment("dfdc")
    threads: 8
    resources:
        **growing(mem_mb=16000, runtime=720),
    params:
        **shared("extract_clips"),
        settings=settings("clips", "detection.train.every", "data.video_timeout"),
        # Of another video there may be the same tracks.
        videos=videos_of_part,
        wanted={"pairs": PAIRS_WANTED},
    script:
        "../workflow/scripts/extract_clips.py"
