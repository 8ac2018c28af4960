"""Evaluation, figures, and the report (snakemake --report)."""


report: "../workflow/report/workflow.rst"


if TEST_LABELS:

    include: "evaluate.smk"


# Only models that are trained here: the training of finished weights is unknown.
TRAINED_KINDS = {config["models"][name]["kind"] for name in TRAINED}
# The keys of a model that determine its samples.
SAMPLE_KEYS = ("kind", "frames", "draw_frames", "crop", "erasing", "seed")


rule draw_test_data_figures:
    input:
        videos=expand(rules.detect_test_faces.output.videos, shard=SHARDS),
        detections=expand(rules.detect_test_faces.output.detections, shard=SHARDS),
        tracks=expand(rules.track_test_faces.output, shard=SHARDS),
    output:
        videos=figure("test_data/videos.svg", "Videos by state"),
        faces=figure("test_data/faces.svg", "Faces per frame"),
        heights=figure("test_data/heights.svg", "Face heights"),
        tracks=figure("test_data/tracks.svg", "Track durations"),
    log:
        "logs/draw_test_data_figures.log",
    benchmark:
        "benchmark/draw_test_data_figures.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("draw_test_data_figures"),
        settings=settings("detection.test.every"),
    script:
        "../workflow/scripts/draw_test_data_figures.py"


rule draw_score_figures:
    input:
        labels=test_labels,
        videos=expand(rules.detect_test_faces.output.videos, shard=SHARDS),
        scores=expand(rules.score.output, model=MODELS, shard=SHARDS),
        crops=expand(rules.crop_test_faces.output.crops, shard=SHARDS),
        # As a string, because the output is already flagged as ancient for another rule, and expand rejects flags.
        stores=ancient(expand(str(rules.crop_test_faces.output.store), shard=SHARDS)),
        calibration=CALIBRATION,
    output:
        **(
            {
                "roc": figure("scores/roc.svg", "ROC"),
                "mistakes": figure("scores/mistakes.jpg", "Worst mistakes"),
            }
            if TEST_LABELS
            else {}
        ),
        transform=figure("scores/transform.svg", "Prediction transform"),
        scores=figure("scores/scores.svg", "Video scores"),
    log:
        "logs/draw_score_figures.log",
    benchmark:
        "benchmark/draw_score_figures.tsv"
    conda:
        environment("dfdc")
    resources:
        **growing(),
    params:
        **shared("draw_score_figures"),
        settings=settings("ensemble"),
        labels=labels_of_test_videos("results/figures/scores/scores.svg"),
        models={"models": MODELS},
    script:
        "../workflow/scripts/draw_score_figures.py"


if TRAINED:

    include: "report_training.smk"


if VALIDATED:

    include: "report_validation.smk"


# As strings, so that the report shows the settings of the jobs that draw them.
# (Not by their rules' names, which a module may change; nor those of the workflow that imports this one.)
FIGURES = [
    str(path)
    for rule in workflow.rules
    if Path(str(rule.snakefile)).is_relative_to(HERE)
    for path in rule.output
    if is_flagged(path, "report")
]
EVERYTHING = [*ALL, *FIGURES]
