"""The command ``dfdc``, which works without Snakemake: it scores videos, imports
data sets, and inspects the machine and result files.

Exit status: 0 on success, 1 on partial failure (see each command), 2 for user errors.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from dfdc.system.errors import UserError
from dfdc.system.words import printable

COMMANDS = {
    "score": "score videos with finished weights",
    "import": "lay out another data set as training parts or test videos",
    "doctor": "check for problems that would stop or slow a run on this machine",
    "inspect": "show what is in a file that a stage has written",
    "verify": "read all files of a run and list those that are damaged",
}
# A module cannot have the name of this command.
MODULES = {"import": "import_data"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with ``arguments``, by default those of the command line, and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="dfdc", description="Deepfake detection: the tools beside the workflow.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        # Only the requested command is imported, because torch takes seconds.
        if name in arguments[:1]:
            module = import_module(f"dfdc.cli.{MODULES.get(name, name)}")
            command.description = module.__doc__
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
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
