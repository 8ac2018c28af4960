"""Training videos, part by part: faces, tracks, aligned tracks, clips."""


rule detect_faces:
    input:
        metadata=DATA / "{part}" / "metadata.json",
        weights=existing(config["detection"]["train"]["weights"]),
    output:
        detections="results/detections/{part}.parquet",
        videos="results/videos/{part}.parquet",
    log:
        "logs/detect_faces/{part}.log",
    benchmark:
        "benchmark/detect_faces/{part}.tsv"
    conda:
        "../envs/dfdc.yaml"
    threads: 8
    resources:
        gpu=gpus(config["detection"]["train"]["detector"] != "yunet"),
        mem_mb=growing(16000),
        runtime=growing(720),
    params:
        settings=settings("detection", "train"),
        videos=videos_of_part,
        video_timeout=settings("data", "video_timeout"),
        code=lambda wildcards: code("detect_faces", DETECTORS[config["detection"]["train"]["detector"]]),
        unfinished=lambda wildcards: unfinished("detect_faces", wildcards),
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
        "../envs/dfdc.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=settings("tracking", "train"),
        every=settings("detection", "train", "every"),
        code=lambda wildcards: code("build_tracks"),
        unfinished=lambda wildcards: unfinished("build_tracks", wildcards),
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
        "../envs/dfdc.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=settings("alignment"),
        code=lambda wildcards: code("align_tracks"),
        unfinished=lambda wildcards: unfinished("align_tracks", wildcards),
    script:
        "../workflow/scripts/align_tracks.py"


rule extract_clips:
    input:
        aligned=rules.align_tracks.output,
        videos=rules.detect_faces.output.videos,
        metadata=ancient(DATA / "{part}" / "metadata.json"),
    output:
        store="results/clips/{part}.arrow",
        clips="results/clips/{part}.parquet",
    log:
        "logs/extract_clips/{part}.log",
    benchmark:
        "benchmark/extract_clips/{part}.tsv"
    conda:
        "../envs/dfdc.yaml"
    threads: 8
    resources:
        mem_mb=growing(16000),
        runtime=growing(720),
    params:
        settings=settings("clips"),
        every=settings("detection", "train", "every"),
        video_timeout=settings("data", "video_timeout"),
        code=lambda wildcards: code("extract_clips"),
        unfinished=lambda wildcards: unfinished("extract_clips", wildcards),
    script:
        "../workflow/scripts/extract_clips.py"
