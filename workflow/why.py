"""Explain why jobs would run: which files, settings or code have changed, and which jobs only follow from others.

    python workflow/why.py [arguments of snakemake]

It summarizes a dry run of Snakemake. If a job would run for several reasons, Snakemake may report only the first.
"""

import argparse
import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from dfdc.preflight.versions import how_to_renew, other_versions  # noqa: E402
from dfdc.system.jobs.records.snakemake import read_records  # noqa: E402
from dfdc.system.words import duration, some  # noqa: E402

BLOCK = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):$")
BY_ANOTHER = "Input files updated by another job: "
# The names that a profile in a folder may have; older versions of Snakemake know only the first.
PROFILE_NAMES = ("config.yaml", "profile.yaml")
PARAMS = "Params have changed since last execution: "
# Parameters that are hashes of contents, in words.
CONTENTS = {
    "videos": "the videos or their metadata.json have",
    "labels": "the labels of the test videos have",
    "metadata": "the metadata.json of a part has",
    "weights": "the weights have",
}


@dataclass
class Job:
    """A job of a dry run: its rule, and the details that Snakemake prints (wildcards, output, reason, …)."""

    rule: str
    details: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The values of the wildcards, which identify the job among those of its rule."""
        pairs = (pair.split("=", 1) for pair in self.details.get("wildcards", "").split(", ") if pair)
        return " ".join(value for _, value in pairs)

    @property
    def output(self) -> list[str]:
        """The output files."""
        return self.details.get("output", "").split(", ")


def main() -> None:
    """Print the reasons, and the results that were created with other library versions."""
    done = subprocess.run(
        ["snakemake", *sys.argv[1:], "--dry-run"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        sys.exit(done.stdout.strip())
    place = working_directory(sys.argv[1:])
    jobs = [job for job in parse_jobs(done.stdout) if job.rule != "all"]  # it only depends on the others
    if not jobs:
        print("Nothing would run: all results exist and are up to date.")
    else:
        print_reasons(jobs)
        print_time(jobs, place)
    differing = other_versions(place / "results")
    if differing:
        print("\nCreated with other library versions (by itself no reason to run again):")
    for libraries, paths in differing.items():
        print(f"  {libraries}: {some(map(str, paths))}\n    to recreate them: {how_to_renew(paths)}")


def working_directory(arguments: Sequence[str]) -> Path:
    """The working directory of a run with the given snakemake arguments: --directory, the profile's, or the current."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--directory", "-d")
    parser.add_argument("--profile")
    options, _ = parser.parse_known_args(arguments)
    if options.directory is None and options.profile:
        options.directory = read_profile(Path(options.profile)).get("directory")
    return Path(options.directory or ".")


def read_profile(path: Path) -> Mapping[str, Any]:
    """The options in a profile, which is a file or a folder; none if Snakemake finds it elsewhere, by its name."""
    files = [file for file in (path, *(path / name for name in PROFILE_NAMES)) if file.is_file()]
    return (yaml.safe_load(files[0].read_text(encoding="utf-8")) or {}) if files else {}


def print_reasons(jobs: Sequence[Job]) -> None:
    """Print why jobs would run, rule by rule, in the order of the plan."""
    print(f"{len(jobs)} job{'s' * (len(jobs) > 1)} would run.")
    rule_of = {path: job.rule for job in jobs for path in job.output}
    jobs_of: dict[str, dict[str, list[str]]] = {}
    for job in jobs:
        for reason in explain(job.details.get("reason", ""), rule_of):
            jobs_of.setdefault(job.rule, {}).setdefault(reason, []).append(job.name)
    for rule, reasons in jobs_of.items():
        print(f"\n{rule}")
        for reason, names in reasons.items():
            named = sorted(filter(None, names))
            listed = ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")
            print(f"  {reason}" + (f" ({listed})" if listed else ""))


def print_time(jobs: Sequence[Job], folder: Path) -> None:
    """Print how long the jobs took the last time, as far as that is known, and which stages took longest."""
    took = {record.log: record.seconds for record in read_records(folder) if record.seconds is not None}
    known = [(job.rule, took[log]) for job in jobs if (log := job.details.get("log")) in took]
    if not known:
        return
    of_rules = Counter()
    for rule, seconds in known:
        of_rules[rule] += seconds
    longest = some(f"{rule} {duration(seconds)}" for rule, seconds in of_rules.most_common(4))
    which = "they" if len(known) == len(jobs) else f"{len(known)} of them"
    print(f"\nOne after the other, {which} took {duration(sum(of_rules.values()))} last time: {longest}.")


def parse_jobs(text: str) -> Iterator[Job]:
    """The jobs in the output of a dry run."""
    job = None
    for line in text.splitlines():
        if match := BLOCK.match(line):
            job = Job(match[1])
        elif job and (match := re.match(r"    (\w+): (.*)", line)):
            job.details[match[1]] = match[2]
        elif job:
            yield job
            job = None
    if job:
        yield job


def explain(reason: str, rule_of: Mapping[str, str]) -> Iterator[str]:
    """The reasons of one job, in plain words. ``rule_of``: the rule that will write a file."""
    for part in re.split(r"; (?=[A-Z])", reason):
        if part.startswith(BY_ANOTHER):
            rules = sorted({rule_of.get(path, path) for path in part.removeprefix(BY_ANOTHER).split(", ")})
            yield f"depends on {', '.join(rules)}"
        elif part.startswith(PARAMS):
            yield from _explain_params(part)
        elif part.startswith("Missing output files"):
            yield "its output is missing"
        elif part.strip():
            yield part[0].lower() + part[1:].strip()


def changed_params(reason: str) -> tuple[list[Any], list[Any]]:
    """The parameters that have changed, before and now, from a reason that begins with ``PARAMS``."""
    match = re.search(r"before: (.*) now: (.*)", reason, re.DOTALL)
    before, now = ([] if side.startswith("<nothing") else _values(side) for side in match.groups())
    return before, now


def _explain_params(text: str) -> Iterator[str]:
    before, now = changed_params(text)
    mappings = [value for value in now if isinstance(value, dict)]
    for old in [value for value in before if isinstance(value, dict)]:
        # The mapping with the most keys in common is the same parameter.
        new = max(mappings, key=lambda value: len(set(value) & set(old)), default={})
        if set(new) & set(old):
            mappings.remove(new)
            yield from _differences(old, new)
        else:
            yield from _differences(old, {})
    for new in mappings:
        yield from _differences({}, new)
    if any("unfinished attempts" in str(value) for value in (*before, *now)):
        yield "it failed or was stopped last time"


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The differences between two parameters: changed code, or settings key by key."""
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if not path and key in CONTENTS:
            yield f"{CONTENTS[key]} changed"
        elif key.endswith(".py"):
            yield f"workflow/scripts/{key} has changed"
        elif key == "dfdc" or key.startswith("dfdc."):
            change = "has changed" if before and after else "is now used" if after else "is no longer used"
            file = Path("lib", *key.split("."))
            yield f"{file / '__init__' if (ROOT / file).is_dir() else file}.py {change}"
        elif isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, f"{path}{key}.")
        else:
            yield f"the setting {path}{key} has changed: {before} → {after}"


def _values(text: str) -> list[Any]:
    """Parse comma-separated Python literals; if that fails, return the whole text as one item."""
    try:
        return list(ast.literal_eval(f"[{text}]"))
    except (SyntaxError, ValueError):
        return [text.strip()]


if __name__ == "__main__":
    main()
