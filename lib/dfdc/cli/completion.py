"""Print a script with which a shell completes commands, options and file names.

    dfdc completion bash > ~/.local/share/bash-completion/completions/dfdc
    dfdc completion zsh > ~/.zfunc/_dfdc

The script is complete in itself: it does not start dfdc, whose imports take seconds, at each press of the tab key. It
is made by the package shtab.
"""

import argparse

from dfdc.cli import main
from dfdc.system.errors import UserError

SHELLS = ("bash", "zsh", "fish", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("shell", choices=SHELLS, help="the shell to complete in")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise UserError("The package shtab, which writes the script, is not installed: pip install shtab") from None
    parser = main.build_parser(main.COMMANDS)
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for command in commands.choices.values():
        for action in command._actions:
            if action.choices is None and action.nargs != 0:  # a value: of the few that are no files, nothing is known
                action.complete = shtab.FILE
    print(shtab.complete(parser, options.shell))
    return 0
