"""What Snakemake concludes from the states of jobs on a cluster."""

import sys
from functools import cache, wraps
from typing import Any

SLURM = "snakemake_executor_plugin_slurm"


@cache
def keep_jobs_of_unknown_state() -> None:
    """From now on, in this process, Snakemake forgets no job because SLURM does not say what has become of it.

    If a controller that is busy or away leaves all of its questions without an answer, the plugin drops the jobs that
    it has asked about, and the run waits for them without end. So no answer is taken for one that names no job: then
    it asks again.
    """
    plugin = sys.modules.get(SLURM)  # Snakemake has imported it, if it is installed
    ask = getattr(plugin, "query_job_status", None)
    if ask is None:
        return

    @wraps(ask)
    async def answered(*arguments: Any, **options: Any) -> tuple[dict[str, str], float]:
        states, seconds = await ask(*arguments, **options)
        return ({}, 0.0) if states is None else (states, seconds)

    plugin.query_job_status = answered
