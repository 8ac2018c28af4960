"""Identity of a process that is told apart from every other one: on other machines, before a reboot, with its id."""

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process, and where it runs. What the system does not tell is empty or 0."""

    host: str
    """The name of its machine or container; several can have the same."""
    boot: str
    """The id that the kernel has given itself when it started."""
    namespace: int
    """The number of the PID namespace: containers have their own, and process ids of another mean nothing in it."""
    process: int
    started: int
    """When the process started, in clock ticks since the kernel did: a later process can have the same id."""

    @classmethod
    def current(cls) -> "Owner":
        """This process."""
        process = os.getpid()
        return cls(socket.gethostname(), _boot(), _namespace(), process, _status(process)[1])

    @classmethod
    def parse(cls, text: str) -> "Owner | None":
        """The inverse of ``text``; None if a text is something else."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def text(self) -> str:
        """A representation for ``parse``."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        """The process in words."""
        return f"process {self.process} on {self.host}"

    def same_kernel(self) -> bool:
        """Whether the process runs on the kernel of this one, perhaps in another container."""
        return bool(self.boot) and self.boot == _boot()

    def visible(self) -> bool:
        """Whether this process would see that process if it existed."""
        here = (socket.gethostname(), _boot(), _namespace())
        return here == (self.host, self.boot, self.namespace)

    def exists(self) -> bool:
        """Whether the process exists; only meaningful if it is ``visible``."""
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # another user's process, about which /proc may tell nothing
            pass
        state, started = _status(self.process)
        if state in ("Z", "X"):  # it has ended, and its parent has not yet noticed
            return False
        return started == self.started or not (started and self.started)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


def _status(process: int) -> tuple[str, int]:
    """The state of a process (a letter) and when it started; empty and 0 if unknown."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return "", 0
    # The program's name, in parentheses, may contain anything.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
