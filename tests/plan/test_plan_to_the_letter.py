"""The published run: the plan of profiles/to-the-letter, on other data and with smaller networks."""

import pytest
import yaml

from dfdc.config.reading import read_config

PROFILE = "profiles/to-the-letter"
NOT_PUBLISHED = ("make_demo_data", "recompress_clips", "score_validation_clips", "evaluate_validation")


@pytest.fixture
def sizes(project):
    """Settings that only name other data and make it small, in a file."""
    tiny = project.tiny_settings()
    small = {
        "data": {key: tiny["data"][key] for key in ("parts", "test_labels", "max_unreadable")},
        "pretrained": tiny["pretrained"],
        "models": {
            name: {key: model[key] for key in ("architecture", "frames", "crop")}
            for name, model in tiny["models"].items()
        },
        "training": {key: tiny["training"][key] for key in ("iterations", "batch_pairs", "warmup_iterations")},
        "prediction": {"shards": tiny["prediction"]["shards"]},
    }
    project.write("demo/external_data/WIDERFace_DSFD_RES152.pth", b"")
    return project.yaml("sizes.yaml", small)


def test_the_stages_are_the_demo_s_but_for_those_that_were_not_published(project, world, graph, sizes):
    arguments = ("--directory", "demo", "--configfile", f"{PROFILE}/settings.yaml", sizes, "--forceall")
    wanted = [rule for rule in graph if rule not in NOT_PUBLISHED and rule != "draw_validation_figures"]
    jobs = [" ".join([rule, *(value for _, value in of_job)]) for rule in wanted for rule, of_job in world.jobs(rule)]
    assert project.bare_plan(*arguments) == sorted(jobs)


def test_what_the_profile_changes(project):
    """It and config.yaml differ in these settings alone."""
    with_profile = read_config(project.folder, [project.folder / PROFILE / "settings.yaml"])
    config = yaml.safe_load((project.folder / "config.yaml").read_text())
    assert changes(config, with_profile) == {
        "validation.share": 0,
        "training.precision": "fp32",
        "training.recompression.variants": 0,
        "detection.train.precision": "fp32",
        "detection.test.precision": "fp32",
        "prediction.precision": "fp32",
    }


def changes(before, after, place=""):
    if not isinstance(before, dict):
        return {} if before == after else {place.removeprefix("."): after}
    assert before.keys() == after.keys()
    return {
        key: value for name in before for key, value in changes(before[name], after[name], f"{place}.{name}").items()
    }
