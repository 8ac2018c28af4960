"""The command ``dfdc``, which needs no Snakemake: scores for anybody's videos, and looks at the machine and at files.

Exit status: 0 if all went well, 1 if it went on without something (each command says what), 2 for the user's mistakes.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from dfdc.system.errors import UserError

COMMANDS = {
    "score": "how probable it is that videos are fake, with finished weights",
    "doctor": "what would stop or slow a run on this machine",
    "inspect": "what is in a table or a store that a stage has written",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with the arguments of the command line, or those given, and give its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="dfdc", description="Deepfake detection: the tools beside the workflow.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, formatter_class=argparse.RawDescriptionHelpFormatter)
        # Only what is asked for is imported: torch takes seconds.
        if name in arguments[:1]:
            module = import_module(f"dfdc.cli.{name}")
            command.description = module.__doc__
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"dfdc {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever reads has read enough, as in `dfdc inspect FILE | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is not written at the end either
        return 141
