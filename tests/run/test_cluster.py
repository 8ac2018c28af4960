"""Jobs on a cluster whose scheduler does not pass the environment on, as PBS, LSF and SGE may be set up."""

import shlex

# Starts a job script with an empty environment, and says its number.
QSUB = '#!/bin/sh\nenv -i /bin/sh "$1" </dev/null >"$0-$$.log" 2>&1 &\necho $!\n'
# A figure (matplotlib wants a folder for its settings), and a network that computes.
TARGETS = ("results/figures/training/training.svg", "results/test/scores/re/0.parquet")


def test_jobs_need_nothing_of_the_environment(finished_run, tmp_path):
    project = finished_run.copy(tmp_path / "copy")
    before = {target: (project.demo / target).read_bytes() for target in TARGETS}
    for target in TARGETS:
        (project.demo / target).unlink()
    qsub = tmp_path / "qsub"
    qsub.write_text(QSUB)
    qsub.chmod(0o755)
    done = project.snakemake(
        *(*TARGETS, "--executor", "cluster-generic", "--cluster-generic-submit-cmd", shlex.quote(str(qsub))),
        *("--jobs", "2", "--seconds-between-status-checks", "1", "--latency-wait", "10"),
    )
    logs = "".join(path.read_text() for path in tmp_path.glob("qsub-*.log"))
    assert done.returncode == 0, done.stdout + logs
    assert done.stdout.count("with external jobid") == 2
    assert {target: (project.demo / target).read_bytes() for target in TARGETS} == before
    assert project.plan(*TARGETS) == []
