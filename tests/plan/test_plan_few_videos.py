"""Few videos of one's own: the plan of profiles/few-videos, and what sets it apart from the demo it was measured on."""

import pytest
from test_plan_to_the_letter import changes

from dfdc.config.reading import read_config

PROFILE = "profiles/few-videos"


@pytest.fixture
def own(project):
    """Settings that only name data, in a file."""
    data = project.tiny_settings()["data"]
    return project.yaml("own.yaml", {"data": {key: data[key] for key in ("parts", "test_labels", "max_unreadable")}})


def test_the_stages_are_those_of_the_demo_but_for_its_data(project, world, graph, own):
    wanted = [rule for rule in graph if rule != "make_demo_data"]
    jobs = [" ".join([rule, *(value for _, value in of_job)]) for rule in wanted for rule, of_job in world.jobs(rule)]
    arguments = ("--directory", "demo", "--profile", PROFILE, "--configfile", own, "--forceall")
    assert project.bare_plan(*arguments) == sorted(jobs)


def test_it_changes_the_demo_s_settings_only_where_that_was_measured(project):
    demo, few = (
        read_config(project.folder, [project.folder / f"profiles/{profile}/settings.yaml"])
        for profile in ("demo", "few-videos")
    )
    for config in (demo, few):  # its own matter
        del config["data"], config["evaluation"], config["validation"]
    del demo["demo"]
    assert changes(demo, few) == {"training.iterations": 120, "ensemble.calibration": "temperature"}


def test_pairs_are_set_aside_for_the_temperature(project, own):
    arguments = ("--directory", "demo", "--profile", PROFILE, "--configfile", own)
    none = project.yaml("none.yaml", {"validation": {"share": 0}})
    done = project.bare_dry_run("submission.csv", *arguments, none)
    assert done.returncode == 1
    assert "temperature is fitted on validation pairs" in done.stdout
