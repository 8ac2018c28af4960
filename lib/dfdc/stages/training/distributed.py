"""One training on several GPUs: a process for each of them, and all take part in every step."""

import logging.handlers
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import distributed

from dfdc.system.errors import UserError
from dfdc.system.processes import end_with_parent, signals_held

logger = logging.getLogger(__name__)


class StopSignal(Protocol):
    """What tells a training to end: a threading.Event, or multiprocessing's."""

    def is_set(self) -> bool:
        """Whether it is to end."""

    def set(self) -> None:
        """Tell it to end."""


# So long a process waits for the others; one of them measures on validation clips meanwhile.
PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Group:
    """The processes of a training as one of them sees it: it is number ``rank`` of ``size`` and has a device."""

    rank: int
    size: int
    device: torch.device
    stop: StopSignal

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over all processes, in every one of them."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()


def run_on_all(work: Callable[..., None], arguments: Sequence[Any], devices: Sequence[torch.device]) -> None:
    """Run ``work(*arguments, group)`` for each device at the same time, and wait for all.

    For one device that is in this process, for several in one process each. SIGTERM and SIGINT don't end the process
    meanwhile: they set ``group.stop`` everywhere. What is raised in one of them is raised here, and ends the others;
    UserError stays UserError, everything else becomes RuntimeError with the traceback in its message.
    """
    if len(devices) == 1:
        with _told_by_signals(threading.Event()) as stop:
            work(*arguments, Group(0, 1, devices[0], stop))
        return
    context = get_context("spawn")
    records, failures = context.Queue(), context.SimpleQueue()
    listener = logging.handlers.QueueListener(records, *logging.getLogger().handlers, respect_handler_level=True)
    listener.start()
    with tempfile.TemporaryDirectory() as folder, _told_by_signals(context.Event()) as stop:
        meeting = f"file://{Path(folder, 'meeting').resolve()}"
        processes = []
        for rank, device in enumerate(devices):
            group = Group(rank, len(devices), device, stop)
            outside = (torch.get_num_threads(), logging.getLogger().level, records, failures)
            process = context.Process(target=_be_one, args=(work, arguments, group, meeting, *outside))
            processes.append(process)
        try:
            with signals_held():
                for process in processes:
                    process.start()
            _wait_for_all(processes)
        finally:
            for process in processes:
                if process.pid is not None:
                    process.kill()
                    process.join()
            listener.stop()
    _raise_first(processes, failures)


def _wait_for_all(processes: Sequence[Any]) -> None:
    """Wait until all have ended well or one has not: the others would wait for it for ever."""
    running = {process.sentinel: process for process in processes}
    while running:
        for sentinel in connection.wait(list(running)):
            process = running.pop(sentinel)
            process.join()
            if process.exitcode != 0:
                return


def _raise_first(processes: Sequence[Any], failures: Any) -> None:
    if not failures.empty():
        rank, is_users, message = failures.get()
        if is_users:
            raise UserError(message)
        raise RuntimeError(f"process {rank} of the training failed:\n{message}")
    for rank, process in enumerate(processes):
        if process.exitcode not in (0, -signal.SIGKILL):
            raise UserError(f"Process {rank} of the training died (exit code {process.exitcode}). {_RESTART}")
    if any(process.exitcode for process in processes):
        raise UserError(f"A process of the training was killed, most likely for lack of memory. {_RESTART}")


_RESTART = "Run again: it goes on from its last checkpoint."


def _be_one(
    work: Callable[..., None],
    arguments: Sequence[Any],
    group: Group,
    meeting: str,
    threads: int,
    level: int,
    records: Any,
    failures: Any,
) -> None:
    """The life of one of several processes."""
    end_with_parent()
    root = logging.getLogger()
    root.handlers, root.level = [logging.handlers.QueueHandler(records)], level
    torch.set_num_threads(threads)
    try:
        if group.device.type == "cuda":
            torch.cuda.set_device(group.device)
        else:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all are on this machine
        backend = "nccl" if group.device.type == "cuda" else "gloo"
        distributed.init_process_group(
            backend, init_method=meeting, rank=group.rank, world_size=group.size, timeout=PATIENCE
        )
        try:
            work(*arguments, group)
        finally:
            distributed.destroy_process_group()
    except UserError as error:
        failures.put((group.rank, True, str(error)))
        sys.exit(1)
    except Exception:
        failures.put((group.rank, False, traceback.format_exc()))
        sys.exit(1)


@contextmanager
def _told_by_signals(stop: StopSignal) -> Iterator[StopSignal]:
    """Let SIGTERM and SIGINT set the event, instead of ending the process at once."""
    # The handler runs in the midst of this process's own work, which must not hold the event's lock then: only
    # threading.Event may be asked in the process that gets the signal.
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
