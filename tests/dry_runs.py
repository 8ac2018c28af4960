"""Dry runs of Snakemake in processes forked from one that has imported it: to import it takes as long as to plan.

As a program it reads requests from stdin, one a line (JSON: arguments, folder, environment, and the file for what is
printed), and answers each with a line that holds the exit status.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

# What Snakemake imports only when it needs it, as every plan does.
LATER = ("requests", "smart_open", "snakemake.report", "snakemake_executor_plugin_slurm", "yte")

_started: list[subprocess.Popen] = []


def dry_run(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess:
    """Run ``snakemake --dry-run`` in a folder; what it prints on both channels is in ``stdout``."""
    if not _started:
        command = [sys.executable, __file__]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(environment)
        )
        atexit.register(process.stdin.close)  # which ends it
        _started.append(process)
    (process,) = _started
    with tempfile.NamedTemporaryFile("r", prefix="dry-run-") as printed:
        request = [["--dry-run", *arguments], str(folder), dict(environment), printed.name]
        print(json.dumps(request), file=process.stdin, flush=True)
        status = int(process.stdout.readline())
        return subprocess.CompletedProcess(arguments, status, printed.read())


def main() -> None:
    """Answer requests until there are no more."""
    from snakemake import cli

    for name in LATER:
        import_module(name)
    for line in sys.stdin:
        arguments, folder, environment, printed = json.loads(line)
        child = os.fork()
        if not child:
            file = os.open(printed, os.O_WRONLY)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv[1:] = arguments
            cli.main()  # ends the process
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
