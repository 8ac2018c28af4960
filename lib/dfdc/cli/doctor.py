"""Check for problems that would stop or slow a run on this machine.

Checks settings, data, weights, programs and the machine, in the folder where you would run Snakemake; nothing is
written. Pass the files for snakemake's --configfile with --config:

    dfdc doctor --config my.yaml

Each line is ok, a note (the run works, but not with all of its input), slow, or stops the run. Exit status: 1 if
anything stops the run, else 0; 2 if the settings are not valid.
"""

import argparse
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from dfdc.config.reading import find_checkout, read_config
from dfdc.preflight.examine import examine
from dfdc.preflight.findings import Finding

WIDEST = 100  # columns of the terminal that are used
WHOLE_WORDS = {"break_long_words": False, "break_on_hyphens": False}
HEAD = 6 + 13  # columns of the level and the topic


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--config",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="settings that override config.yaml; the last file takes precedence",
    )


def run(options: argparse.Namespace) -> int:
    """Print the findings."""
    checkout = find_checkout(Path.cwd())
    findings = examine(read_config(checkout, options.config), checkout)
    for line in page(findings):
        print(line)
    return int(any(finding.level == "stops" for finding in findings))


def page(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings as wrapped lines, and a summary."""
    width = min(shutil.get_terminal_size((WIDEST, 0)).columns, WIDEST)
    indent = " " * HEAD

    def lines(text: str, head: str, below: str) -> list[str]:
        # Paths are not broken, so that they can be copied.
        return textwrap.wrap(text, width, initial_indent=head, subsequent_indent=below, **WHOLE_WORDS)

    for finding in findings:
        yield from lines(finding.message, f"{finding.level:6}{finding.topic:13}", indent)
        for line in finding.remedy.splitlines():
            yield from lines(line, f"{indent}> ", f"{indent}  ")
    counts = Counter(finding.level for finding in findings)
    yield ""
    stop, slow = (word + "s" * (counts[level] == 1) for word, level in (("stop", "stops"), ("slow", "slow")))
    if counts["stops"]:
        yield f"This run cannot work: {counts['stops']} of these findings {stop} it."
    elif counts["slow"]:
        yield f"This run can work, but {counts['slow']} of these findings {slow} it."
    else:
        yield "This run can work."
