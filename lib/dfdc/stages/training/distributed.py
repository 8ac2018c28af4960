"""Data-parallel training on several GPUs, with one process per GPU."""

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

from dfdc.system.errors import Interrupted, OutOfMemory, UserError
from dfdc.system.workers.processes import end_with_parent, signals_held

logger = logging.getLogger(__name__)


class StopSignal(Protocol):
    """The event that stops a training: a threading.Event or a multiprocessing.Event."""

    def is_set(self) -> bool:
        """Whether the training should stop."""

    def set(self) -> None:
        """Request the training to stop."""


# Timeout of collective operations; long, because the other processes wait while the first one runs validation.
PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Group:
    """The process group of a training, from the view of one process: number ``rank`` of ``size``, with its device."""

    rank: int
    size: int
    device: torch.device
    stop: StopSignal

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and logs."""
        return self.rank == 0

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over all processes (all-reduce)."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait until all processes have reached this point."""
        if self.size > 1:
            distributed.barrier()


def run_on_all(work: Callable[..., None], arguments: Sequence[Any], devices: Sequence[torch.device]) -> None:
    """Run ``work(*arguments, group)`` for each device in parallel, and wait for all.

    A single device is used in this process; several have a process each. Meanwhile SIGTERM and SIGINT do not end the
    process, but set ``group.stop`` in all processes. An exception in one process ends the others and is raised here:
    UserError as it is, anything else as RuntimeError with the traceback in its message.
    """
    if len(devices) == 1:
        with _set_by_signals(threading.Event()) as stop:
            work(*arguments, Group(0, 1, devices[0], stop))
        return
    context = get_context("spawn")
    records, failures = context.Queue(), context.SimpleQueue()
    listener = logging.handlers.QueueListener(records, *logging.getLogger().handlers, respect_handler_level=True)
    listener.start()
    with tempfile.TemporaryDirectory() as folder, _set_by_signals(context.Event()) as stop:
        rendezvous = f"file://{Path(folder, 'meeting').resolve()}"
        processes = []
        for rank, device in enumerate(devices):
            group = Group(rank, len(devices), device, stop)
            environment = (torch.get_num_threads(), logging.getLogger().level, records, failures)
            process = context.Process(target=_worker_process, args=(work, arguments, group, rendezvous, *environment))
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
    """Wait until all processes have succeeded or one has failed, in which case the others would wait forever."""
    running = {process.sentinel: process for process in processes}
    while running:
        for sentinel in connection.wait(list(running)):
            process = running.pop(sentinel)
            process.join()
            if process.exitcode != 0:
                return


def _raise_first(processes: Sequence[Any], failures: Any) -> None:
    if not failures.empty():
        rank, failure = failures.get()
        if isinstance(failure, UserError):
            raise failure
        raise RuntimeError(f"process {rank} of the training failed:\n{failure}")
    for rank, process in enumerate(processes):
        if process.exitcode not in (0, -signal.SIGKILL):
            raise Interrupted(f"Process {rank} of the training died (exit code {process.exitcode}). {_RESTART}")
    if any(process.exitcode for process in processes):
        raise OutOfMemory(f"A process of the training was killed, most likely because memory ran out. {_RESTART}")


_RESTART = "Run again: it resumes from its last checkpoint."


def _worker_process(
    work: Callable[..., None],
    arguments: Sequence[Any],
    group: Group,
    rendezvous: str,
    threads: int,
    level: int,
    records: Any,
    failures: Any,
) -> None:
    """The main function of each process."""
    end_with_parent()
    root = logging.getLogger()
    root.handlers, root.level = [logging.handlers.QueueHandler(records)], level
    torch.set_num_threads(threads)
    try:
        if group.device.type == "cuda":
            torch.cuda.set_device(group.device)
        else:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all processes are on this machine
        backend = "nccl" if group.device.type == "cuda" else "gloo"
        distributed.init_process_group(
            backend, init_method=rendezvous, rank=group.rank, world_size=group.size, timeout=PATIENCE
        )
        try:
            work(*arguments, group)
        finally:
            distributed.destroy_process_group()
    except UserError as error:
        failures.put((group.rank, error))
        sys.exit(1)
    except Exception:
        failures.put((group.rank, traceback.format_exc()))
        sys.exit(1)


@contextmanager
def _set_by_signals(stop: StopSignal) -> Iterator[StopSignal]:
    """Let SIGTERM and SIGINT set the event instead of ending the process."""
    # The handler interrupts this process, which must not be holding the event's lock at that moment. Therefore the
    # process that gets the signal may only query a threading.Event.
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
