"""A brief run, as `make demo` makes it."""

import re


def test_progress_and_faults_and_nothing_else(project):
    """One job succeeds; another does not, because a table is damaged."""
    project.environment = {"DFDC_BRIEF": "1"}
    made = "results/validation/evaluation.json"
    project.remove(f"demo/{made}")
    project.remove("demo/results/evaluation.json")
    project.write("demo/results/test/tracks/0.parquet", b"damaged")
    done = project.snakemake(made, "results/evaluation.json", "--prioritize", made)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert f" jobs. Their logs are in {project.demo}/logs, Snakemake's in {project.demo}/.snakemake/log." in done.stdout
    assert [line for line in lines if re.fullmatch(r" +(\d+ min )?\d+ s  evaluate_validation done(, .* left)?", line)]
    assert "Error in rule crop_test_faces:" in lines
    assert len([line for line in lines if "0.parquet is damaged" in line]) == 2  # as it happens, and in the job's log
    for said in ("ILP", "Select jobs", "rule evaluate_validation", "Job stats", "Finished jobid"):
        assert said not in done.stdout
    logs = sorted((project.demo / ".snakemake/log").iterdir())
    assert "rule evaluate_validation" in logs[-1].read_text()
    assert " INFO " not in done.stdout
    assert " INFO " in (project.demo / "logs/evaluate_validation.log").read_text()
