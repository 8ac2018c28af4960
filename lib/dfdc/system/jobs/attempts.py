"""Counts of unfinished attempts of jobs."""

import json
import os
from pathlib import Path

# For the job of each log file, a count of attempts that started but did not finish. It is stored beside Snakemake's
# records of finished jobs, so that both are deleted together.
ATTEMPTS = Path(".snakemake/unfinished")
# Environment variable that passes the counts above 0 at the start of the run to its jobs.
AT_START = "DFDC_UNFINISHED"


def unfinished_attempts() -> dict[str, int]:
    """The number of unfinished attempts of each job, by the path of its log below ``logs`` (``train/re``)."""
    files = (path for path in ATTEMPTS.rglob("*") if path.is_file() and not path.name.endswith(".part"))
    return {str(path.relative_to(ATTEMPTS)): int(path.read_text()) for path in files}


def unfinished_at_start(beginning: bool) -> dict[str, int]:
    """The unfinished attempts at the start of this run of Snakemake; ``beginning`` if this process starts the run.

    Snakemake records them as job parameters. A job that fails and then succeeds in the same run must be recorded with
    its count at the start, or it would run again the next time.
    """
    if beginning:
        os.environ[AT_START] = json.dumps({job: count for job, count in unfinished_attempts().items() if count})
    return json.loads(os.environ[AT_START])
