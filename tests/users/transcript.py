"""Plays what a user types and compares what the terminal says: a page of Markdown whose blocks are transcripts.

    ```console
    $ dfdc --version
    dfdc …
    $ dfdc score vidoe.mp4 --weights weights
    dfdc score: There is no file or folder vidoe.mp4. …
    [exit status 2]
    ```

All lines of one page go to one shell, one after the other. Below a command is all that it prints, on both channels: `…`
stands for anything in a line, and alone in a line for any lines; runs of spaces count as one. Without a last line that
names the exit status it is 0. A command of several lines goes on in lines that begin with `> `. A comment with the name
of a page, such as `# README.md`, says that the command stands there just like this, which is checked.
"""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STATUS = re.compile(r"\[exit status (\d+)\]")
PAGE = re.compile(r"^(.*?)\s+# (\S+\.md)$", re.DOTALL)
END = "\x1e"  # begins the line after what a command prints
LIMIT = 3600.0  # seconds of a command, far more than any takes


@dataclass
class Step:
    """A command, what it is to print, line by line, and its exit status."""

    command: str
    printed: list[str] = field(default_factory=list)
    status: int = 0


def read_steps(page: str) -> Iterator[Step]:
    """The steps of a page, in order."""
    step = None
    for line in "".join(BLOCK.findall(page)).splitlines():
        if line.startswith("$ "):
            if step:
                yield step
            step = Step(line[2:])
        elif step is None:
            raise ValueError(f"The first line of the page's blocks is no command: {line}")
        elif (line == ">" or line.startswith("> ")) and not step.printed:
            step.command += "\n" + line[2:]
        elif found := STATUS.fullmatch(line):
            step.status = int(found[1])
        else:
            step.printed.append(line)
    if step:
        yield step


def matches(wanted: list[str], printed: str) -> bool:
    """Whether a text is what is wanted, with `…` for anything."""
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else _line(line) for line in map(_plain, wanted))
    text = "".join(f"{_plain(line)}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, text) is not None


def _line(wanted: str) -> str:
    return ".*".join(map(re.escape, wanted.split("…"))) + r"\n"


def _plain(line: str) -> str:
    return re.sub(r"\s+", " ", line).strip()


class Shell:
    """A shell in a folder, which keeps its own folder and variables from command to command."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, command: str) -> tuple[str, int]:
        """What a command prints on both channels, and its exit status. One that takes too long ends the shell."""
        watch = threading.Timer(LIMIT, self.close)
        watch.start()
        try:
            self._process.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n{END}%s\\n' $?\n")
            self._process.stdin.flush()
            printed = []
            for line in self._process.stdout:
                if line.startswith(END):
                    return "".join(printed).removesuffix("\n"), int(line[1:])
                printed.append(line)
        finally:
            watch.cancel()
        raise AssertionError(f"The shell ended with:\n$ {command}\n{''.join(printed)}")

    def close(self) -> None:
        """End the shell and what it has started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def play(page: Path, root: Path, shell: Shell) -> None:
    """Run the commands of a page, and compare what they print. ``root``: the folder of the documentation's pages."""
    for step in read_steps(page.read_text(encoding="utf-8")):
        if named := PAGE.match(step.command):
            text = (root / named[2]).read_text(encoding="utf-8")
            assert named[1] in text, f"{named[2]} has no {named[1]}"
        printed, status = shell.run(step.command)
        assert "Traceback" not in printed, f"$ {step.command}\n{printed}"
        wanted = "\n".join(step.printed)
        assert matches(step.printed, printed), f"$ {step.command}\n{printed}\n--- is not ---\n{wanted}"
        assert status == step.status, f"$ {step.command}\n{printed}\n--- ended with {status}"
