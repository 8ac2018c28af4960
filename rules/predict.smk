"""Test videos, shard by shard: faces, tracks, crops, scores; then the submission."""


rule detect_test_faces:
    input:
        videos=ancient(test_videos),
        # The folder above is ancient, because times of folders mean little. These are not.
        made=test_labels,
    output:
        detections="results/test/detections/{shard}.parquet",
        videos="results/test/videos/{shard}.parquet",
    log:
        "logs/detect_test_faces/{shard}.log",
    benchmark:
        "benchmark/detect_test_faces/{shard}.tsv"
    conda:
        environment("dfdc")
    threads: 8
    resources:
        **growing(mem_mb=16000, runtime=240),
        **gpus(config["detection"]["test"]["detector"] != "yunet"),
    params:
        **shared("detect_test_faces", DETECTORS[config["detection"]["test"]["detector"]]),
        settings=detection_settings(
            "test", "prediction.fps", "prediction.shards", "data.video_timeout", "data.max_pixels"
        ),
        videos=videos_of_shard,
        weights=lambda wildcards: hash_of_weights(
            config["detection"]["test"]["weights"], f"results/test/videos/{wildcards.shard}.parquet"
        ),
    script:
        "../workflow/scripts/detect_test_faces.py"


rule track_test_faces:
    input:
        detections=rules.detect_test_faces.output.detections,
        videos=rules.detect_test_faces.output.videos,
    output:
        "results/test/tracks/{shard}.parquet",
    log:
        "logs/track_test_faces/{shard}.log",
    benchmark:
        "benchmark/track_test_faces/{shard}.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("track_test_faces"),
        settings=settings("tracking.test", "detection.test.every"),
    script:
        "../workflow/scripts/track_test_faces.py"


rule crop_test_faces:
    input:
        test_videos=ancient(test_videos),
        tracks=rules.track_test_faces.output,
        videos=rules.detect_test_faces.output.videos,
    output:
        store="results/test/crops/{shard}.arrow",
        crops="results/test/crops/{shard}.parquet",
    log:
        "logs/crop_test_faces/{shard}.log",
    benchmark:
        "benchmark/crop_test_faces/{shard}.tsv"
    conda:
        environment("dfdc")
    threads: 8
    resources:
        **growing(mem_mb=16000, runtime=240),
    params:
        **shared("crop_test_faces"),
        settings=settings(
            "prediction.enlarge",
            "prediction.frame_every",
            "prediction.sequence_every",
            "prediction.sequence_length",
            "data.video_timeout",
        ),
        # Of another video there may be the same tracks.
        videos=videos_of_shard,
        kinds={"kinds": KINDS},
    script:
        "../workflow/scripts/crop_test_faces.py"


rule score:
    input:
        crops=rules.crop_test_faces.output.crops,
        # The index above contains a hash of every crop, so the store itself need not be compared.
        store=ancient(rules.crop_test_faces.output.store),
        weights=rules.export_weights.output,
    output:
        "results/test/scores/{model}/{shard}.parquet",
    log:
        "logs/score/{model}/{shard}.log",
    benchmark:
        "benchmark/score/{model}/{shard}.tsv"
    conda:
        environment("dfdc")
    threads: 8
    resources:
        **growing(mem_mb=16000, runtime=240),
        **gpus(),
    params:
        **shared("score", family_of_model),
        settings=lambda wildcards: settings(f"models.{wildcards.model}.score", "prediction.precision", "torch_threads"),
    script:
        "../workflow/scripts/score.py"


rule submission:
    input:
        videos=expand(rules.detect_test_faces.output.videos, shard=SHARDS),
        scores=expand(rules.score.output, model=MODELS, shard=SHARDS),
        # If labels are known, scores are also evaluated when only the submission is requested.
        # (Not ancient, or new settings that make the evaluation run would not be noticed here.)
        evaluation=EVALUATION,
        calibration=CALIBRATION,
    output:
        submission="submission.csv",
        checksum="results/submission.sha256",
    log:
        "logs/submission.log",
    benchmark:
        "benchmark/submission.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("submission"),
        settings=settings("ensemble"),
    script:
        "../workflow/scripts/submission.py"
