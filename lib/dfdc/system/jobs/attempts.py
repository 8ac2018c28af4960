"""How often the jobs of a workflow were begun and did not come to their end."""

import json
import os
from pathlib import Path

# How often the job of each log file was begun and did not come to its end, for whatever reason. It lies beside what
# Snakemake knows of finished jobs, so that both go together.
ATTEMPTS = Path(".snakemake/unfinished")
# The counts above 0 as they were when a run of Snakemake began, for its jobs.
AT_START = "DFDC_UNFINISHED"


def unfinished_attempts() -> dict[str, int]:
    """For each job that ever failed, by the path of its log below ``logs`` (``train/re``): how often it did."""
    files = (path for path in ATTEMPTS.rglob("*") if path.is_file() and not path.name.endswith(".part"))
    return {str(path.relative_to(ATTEMPTS)): int(path.read_text()) for path in files}


def unfinished_at_start(beginning: bool) -> dict[str, int]:
    """The unfinished attempts as they were when this run of Snakemake began; ``beginning`` if this process begins it.

    Snakemake remembers them as they were then. A job that did not end well, but was tried again in the same run and
    then did, must count as it counted then, or it would run once more the next time.
    """
    if beginning:
        os.environ[AT_START] = json.dumps({job: count for job, count in unfinished_attempts().items() if count})
    return json.loads(os.environ[AT_START])
