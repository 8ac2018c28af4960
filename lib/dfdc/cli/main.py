"""The command ``dfdc``, which works without Snakemake: it scores videos, imports
data sets, and inspects the machine and result files.

Exit status: 0 on success, 1 on partial failure (see each command), 2 for user errors.
"""

import argparse
import os
import sys
from collections.abc import Collection, Sequence
from importlib import import_module

from dfdc.system.errors import UserError
from dfdc.system.versions import own_version
from dfdc.system.words import printable

COMMANDS = {
    "score": "score videos and images with finished weights",
    "serve": "a local web page for scoring videos and images by drag and drop",
    "import": "lay out another data set as training parts or test videos",
    "doctor": "check for problems that would stop or slow a run on this machine",
    "inspect": "show what is in a file that a stage has written",
    "verify": "read all files of a run and list those that are damaged",
    "compare": "show how two runs differ: settings, metrics, training curves",
    "completion": "print a shell completion script",
}
# A module cannot have the name of this command.
MODULES = {"import": "import_data"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with ``arguments``, by default those of the command line, and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # Only the requested command is imported, because torch takes seconds.
    options = build_parser(arguments[:1]).parse_args(arguments)
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except UserError as error:
        print(printable(f"dfdc {options.command}: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has closed the pipe, as in `dfdc inspect FILE | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # discard what is flushed at exit
        return 141


def build_parser(imported: Collection[str]) -> argparse.ArgumentParser:
    """The parser of all commands; those in ``imported`` have their arguments, the others only their summary."""
    parser = argparse.ArgumentParser(
        prog="dfdc", description="Deepfake detection: command-line tools around the workflow."
    )
    parser.add_argument("--version", action="version", version=f"dfdc {own_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name in imported:
            module = import_module(f"dfdc.cli.{MODULES.get(name, name)}")
            command.description = module.__doc__
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser
