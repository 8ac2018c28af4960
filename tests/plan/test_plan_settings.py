"""Changes of settings: what would run again."""

import pytest
import yaml


def nested(path, value):
    """{a: {b: value}} for the path a.b."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


@pytest.mark.parametrize(
    ("path", "value", "starts"),
    [
        ("detection.train.threshold", 0.7, "detect_faces"),
        ("detection.train.every", 5, "detect_faces"),
        ("detection.test.threshold", 0.7, "detect_test_faces release_weights"),
        ("detection.train.precision", "fp32", ""),  # which yunet does not have
        ("detection.test.precision", "fp32", ""),
        ("data.name", "mine", "release_weights"),
        ("data.max_unreadable", 0.4, ""),
        ("data.video_timeout", 500, "detect_faces detect_test_faces"),
        ("data.max_pixels", 30_000_000, "detect_faces detect_test_faces"),
        ("tracking.train.sigma_h", 0.8, "build_tracks"),
        ("tracking.test.t_min", 6, "track_test_faces release_weights"),
        ("alignment.min_iou", 0.4, "align_tracks"),
        ("alignment.scale_fakes", True, "align_tracks"),
        ("clips.seed", 1, "extract_clips"),
        ("clips.per_track", 2, "extract_clips"),
        ("clips.per_track", "auto", "extract_clips"),
        ("pairs.min_difference", 0.5, "pair_clips"),
        ("validation.parts", ["dfdc_train_part_1"], "pair_clips"),
        ("validation.share", 0.5, "pair_clips"),
        ("validation.seed", 1, "pair_clips"),
        ("validation.every", 3, "train"),
        ("validation.pairs", 7, "train"),
        ("models.re.seed", 11, ("train re", "draw_sample_figures")),
        ("models.re.erasing", 0.3, ("train re", "draw_sample_figures")),
        ("models.re.draw_frames", True, ("recompress_clips", "train re", "draw_sample_figures")),
        ("models.seq.score", {"of": 2, "take": [0]}, ("score seq", "release_weights")),
        ("training.learning_rate", 0.01, "train"),
        ("training.recompression.crf", [18, 40], "recompress_clips"),
        ("training.recompression.variants", 3, "recompress_clips"),
        ("training.recompression.probability", 0.4, "train draw_sample_figures"),
        ("training.iterations", 5, "train"),
        ("training.compile", True, "train"),
        ("prediction.fps", 10, "detect_test_faces release_weights"),
        ("prediction.frame_every", 3, "crop_test_faces release_weights"),
        ("prediction.precision", "fp32", "score score_validation_clips"),
        ("ensemble.exponent", 0.5, "evaluate evaluate_validation submission draw_score_figures"),
        ("ensemble.calibration", "exponent", "evaluate submission draw_score_figures release_weights"),
        ("evaluation.pairs", 2, "score_validation_clips"),
        ("torch_threads", 2, "train score score_validation_clips"),
        (
            "speed",
            {
                "device": "cpu",
                "workers": "auto",
                "batch_size": 3,
                "checkpoint_every": 2,
                "checkpoints_kept": 1,
                "scratch": "/tmp",
            },
            "",
        ),
    ],
)
def test_setting(project, world, path, value, starts):
    # Of `train` all jobs are meant, of ("train re",) one.
    starts = starts.split() if isinstance(starts, str) else starts
    assert project.plan(settings=nested(path, value)) == world.after(*starts)


def test_without_variants_clips_are_recompressed_on_the_fly(project, world):
    plan = project.plan(settings={"training": {"recompression": {"variants": 0}}})
    assert plan == world.after("train", "draw_sample_figures")
    whole = project.plan("--forceall", settings={"training": {"recompression": {"variants": 0}}})
    assert not [job for job in whole if job.startswith("recompress_clips")]


def test_settings_that_travel_with_weights_run_no_training_and_no_export(project, world):
    """They are written into copies of the weights (results/release), which nothing reads."""
    assert world.after("release_weights") == ["release_weights"]
    for path, value in (("prediction.fps", 10), ("ensemble.exponent", 0.5), ("detection.test.threshold", 0.7)):
        rules = {job.split()[0] for job in project.plan(settings=nested(path, value))}
        assert "release_weights" in rules
        assert not rules & {"train", "export_weights"}


def test_detection_is_not_run_again_for_another_number_of_cores(project):
    assert project.plan(cores=1) == []


def test_order_of_keys(project):
    def turned(value):
        if isinstance(value, dict):
            return {key: turned(item) for key, item in reversed(value.items())}
        return value

    for path in ("config.yaml", "profiles/demo/settings.yaml", "tests/tiny.yaml"):
        settings = yaml.safe_load((project.folder / path).read_text())
        project.write(path, yaml.safe_dump(turned(settings), sort_keys=False).encode())
    assert project.plan() == []


def test_parts_for_validation_that_there_are_not(project):
    settings = {"data": {"parts": "auto"}, "validation": {"parts": ["dfdc_train_part_7"]}}
    done = project.snakemake("--dry-run", settings=settings, own_data=True)
    assert done.returncode == 1
    assert "validation.parts: 'dfdc_train_part_7' is not a training part" in done.stdout
    assert "did you mean 'dfdc_train_part_" in done.stdout
    assert "Traceback" not in done.stdout


def test_more_shards(project, world):
    world = type(world)(shard=("0", "1", "2"))
    assert project.plan(settings={"prediction": {"shards": 3}}) == world.after("detect_test_faces")


def test_a_model_more(project, world):
    world = type(world)(model=(*world.model, "fourth"))
    model = {**project.tiny_settings()["models"]["re"], "seed": 1}
    assert project.plan(settings={"models": {"fourth": model}}) == world.after("train fourth", "draw_sample_figures")


def test_a_model_less(project, world):
    settings = project.tiny_settings()
    del settings["models"]["re"]
    project.write("config.yaml", yaml.safe_dump(settings).encode())
    for path in ("profiles/demo/settings.yaml", "tests/tiny.yaml"):
        project.write(path, b"{}")
    assert project.plan() == world.after(
        *("evaluate", "evaluate_validation", "submission"),
        *("draw_score_figures", "draw_sample_figures", "draw_training_figures"),
    )


def given(project, *models):
    """Settings with the weights of some models given, and the file of them where they were not yet."""
    for model in models:
        weights = (project.demo / f"results/models/{model}/weights.safetensors").read_bytes()
        project.write(f"demo/given/{model}.safetensors", weights)
    return {"models": {model: {"weights": f"given/{model}.safetensors"} for model in models}}


def test_weights_of_one_model_given(project, world):
    assert project.plan(settings=given(project, "re")) == world.after(
        "export_weights re", "draw_sample_figures", "draw_training_figures"
    )


def test_weights_of_all_models_given(project, world):
    settings = given(project, *world.model)

    def without_training(*starts):
        return [job for job in world.after(*starts) if "validation" not in job and job != "release_weights"]

    assert project.plan(settings=settings) == without_training("export_weights")
    test_half = without_training("detect_test_faces", "export_weights")
    assert project.plan("--forceall", settings=settings, own_data=True) == test_half


def test_nothing_kept_out_of_training(project, world):
    plan = project.plan(settings={"validation": {"share": 0}})
    assert plan == [job for job in world.after("pair_clips") if "validation" not in job]


def test_a_calibration_that_cannot_be_fitted(project, world):
    settings = given(project, *world.model) | {"ensemble": {"calibration": "temperature"}}
    done = project.snakemake("--dry-run", settings=settings)
    assert done.returncode == 1
    assert "ensemble.calibration: temperature is fitted on validation pairs" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_fitted_calibration_that_has_changed(project, world):
    """The submission follows on the number that it uses, and on no other."""
    changed = {"evaluation": {"pairs": 2}}
    after = world.after("score_validation_clips", "evaluate", "submission")
    # The submission does not wait for figures, nor for released weights.
    calibrated = [job for job in after if not job.endswith("_figures") and job != "release_weights"]
    assert project.plan("submission.csv", settings=changed | {"ensemble": {"calibration": "exponent"}}) == calibrated
    assert project.plan("submission.csv", settings=changed) == []


def test_demo_of_other_data(project, world):
    assert project.plan(settings={"demo": {"seed": 1}}) == world.after("make_demo_data")


def test_all_is_as_before(project):
    """The tests above put back what they changed."""
    assert project.plan() == []
