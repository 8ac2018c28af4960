"""Accept results after a change of code that does not affect them: they are marked as up to date, and not made again.

    python workflow/accept.py [--yes] [arguments of snakemake]

Accepted are the finished jobs that would run only because their code has changed. Jobs that would run for another
reason (settings, inputs, missing output, a failure) stay in the plan, and so does all that depends on them. What is
accepted is listed first, and recorded in results/accepted.jsonl, which `dfdc inspect` shows. Whether the change is
harmless is for you to decide: results keep the bytes that the earlier code gave them.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "lib"), str(ROOT / "workflow")]

from why import PARAMS, Job, changed_params, parse_jobs, working_directory  # noqa: E402

from dfdc.system.jobs.records.accepted import record_accepted  # noqa: E402
from dfdc.system.words import some  # noqa: E402

Changes = dict[str, tuple[str | None, str | None]]


def main() -> None:
    """List what would be accepted, ask, and accept it stage by stage."""
    arguments = [word for word in sys.argv[1:] if word != "--yes"]
    found = acceptable(arguments)
    if not found:
        sys.exit("Nothing to accept: no finished job would run only because its code has changed (see make why).")
    print("These results, and all that depends only on them, would be marked as up to date with the current code:")
    for rule in dict.fromkeys(job.rule for job, _ in found):
        print(f"  {rule}: {some(sorted(path for job, _ in found if job.rule == rule for path in job.output))}")
    print(f"Changed since they were made: {', '.join(sorted({name for _, code in found for name in code}))}")
    if "--yes" not in sys.argv and not confirmed("Are you sure that none of their bytes would change?"):
        sys.exit("Nothing was accepted.")
    folder = working_directory(arguments)
    jobs: list[Job] = []
    # What depends on a job shows its own reasons only when the job is up to date.
    while found:
        accept(found, arguments, folder)
        jobs += [job for job, _ in found]
        found = acceptable(arguments)
    print(f"Accepted: {len(jobs)} job{'s' * (len(jobs) > 1)}, recorded in {folder / 'results/accepted.jsonl'}.")


def confirmed(question: str) -> bool:
    """Whether the answer to a question is yes; without a terminal to ask on it is no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() == "y"
    except EOFError:
        print()
        return False


def acceptable(arguments: Sequence[str]) -> list[tuple[Job, Changes]]:
    """The jobs of the plan that would run only because their code has changed, and that change."""
    done = subprocess.run(
        ["snakemake", *arguments, "--dry-run"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        sys.exit(done.stdout.strip())
    found = [(job, code_changes(job.details.get("reason", ""))) for job in parse_jobs(done.stdout)]
    return [(job, changes) for job, changes in found if changes]


def code_changes(reason: str) -> Changes:
    """The code that has changed, {file: (hash before, hash now)}, if that is a job's only reason to run; else empty."""
    if not reason.startswith(PARAMS):
        return {}
    before, now = changed_params(reason)
    if len(before) != 1 or len(now) != 1 or not all(_is_code(value) for value in (*before, *now)):
        return {}
    names = {**before[0], **now[0]}
    differing = {name: (before[0].get(name), now[0].get(name)) for name in names}
    return {name: (old, new) for name, (old, new) in differing.items() if old != new}


def accept(found: Sequence[tuple[Job, Changes]], arguments: Sequence[str], folder: Path) -> None:
    """Let Snakemake record the jobs as made by the code as it is now. Times of files stay as they are."""
    outputs = [path for job, _ in found for path in job.output]
    times = {path: (folder / path).stat() for path in outputs if (folder / path).exists()}
    command = ["snakemake", *without_targets(arguments), "--cores", "1", "--quiet", "--touch", "--", *outputs]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for path, state in times.items():
        os.utime(folder / path, ns=(state.st_atime_ns, state.st_mtime_ns))
    if done.returncode != 0:
        sys.exit(done.stdout.strip())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for job, changes in found:
        record_accepted(folder, {"date": now, "rule": job.rule, "files": job.output, "code": changes})


def without_targets(arguments: Sequence[str]) -> list[str]:
    """The arguments of snakemake but for the files and rules that are asked for."""
    from snakemake.cli import get_argument_parser  # imported late because it takes a second

    targets = get_argument_parser().parse_known_args(list(arguments))[0].targets
    return [word for word in arguments if word not in targets and word != "--"]


def _is_code(value: object) -> bool:
    return isinstance(value, Mapping) and "dfdc" in value


if __name__ == "__main__":
    main()
