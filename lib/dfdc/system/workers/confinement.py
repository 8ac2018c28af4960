"""The sandbox of worker processes that decode untrusted files.

FFmpeg and libx264 are large, and a video may be made to exploit a fault in them. So their processes cannot open network
connections, start programs or trace other processes (a seccomp filter, Linux on x86-64 and ARM64, needs no privileges),
write no core dumps (which would hold the memory), and have limits on memory and on the size of a file. Descriptors of
the main process are not inherited, because workers are spawned.
"""

import ctypes
import os
import platform
import resource
import struct
import sys

GIB = 2**30
# What a worker may allocate besides what it has when its work begins; far above what any sound video needs.
MEMORY = 8 * GIB
FILE = 128 * GIB

# From linux/prctl.h, linux/seccomp.h, linux/filter.h and linux/audit.h.
_NO_NEW_PRIVILEGES, _SET_FILTER, _ALL_THREADS = 38, 1, 1
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | 13  # EACCES
_CALL, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_UNIX = 1  # the family of local sockets
# By machine: the audit architecture, the numbers of seccomp and socket, and those of the other calls that are denied:
# execve, execveat, ptrace, process_vm_readv, process_vm_writev, io_uring_setup, bpf, mount, unshare, setns, kexec_load.
_CALLS = {
    "x86_64": (0xC000003E, 317, 41, (59, 322, 101, 310, 311, 425, 321, 165, 272, 308, 246)),
    "aarch64": (0xC00000B7, 277, 198, (221, 281, 117, 270, 271, 425, 280, 40, 97, 268, 104)),
}
_OTHER_ABI = 0x40000000  # calls of x32, which would go round the filter


def confine() -> list[str]:
    """Confine this process for good; returns what is not possible on this system, in words."""
    missing = []
    used = _data_in_use()
    limits = {"core dumps": (resource.RLIMIT_CORE, 0), "the size of files": (resource.RLIMIT_FSIZE, FILE)}
    limits["memory"] = (resource.RLIMIT_DATA, None if used is None else used + MEMORY)
    for name, (limit, value) in limits.items():
        try:
            _lower(limit, value)
        except (ValueError, OSError):
            missing.append(f"a limit on {name}")
    try:
        _filter_calls()
    except OSError as error:
        missing.append(f"a filter of system calls ({error.strerror})")
    return missing


def _lower(limit: int, wanted: int | None) -> None:
    """Lower a limit; ``wanted`` is None if this system does not have it. Raises OSError or ValueError if it cannot."""
    if wanted is None:
        raise OSError
    _, hard = resource.getrlimit(limit)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(limit, (value, value))


def _data_in_use() -> int | None:
    """The bytes that count for RLIMIT_DATA; None where that limit does not cover what is mapped (only Linux does)."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            (line,) = [line for line in file if line.startswith("VmData:")]
    except (OSError, ValueError):
        return None
    return int(line.split()[1]) * 1024


def _filter_calls() -> None:
    """Deny some system calls to this process. Raises OSError if that is not possible."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _CALLS:
        raise OSError(0, f"not on {sys.platform} {machine}")
    architecture, seccomp, socket, denied = _CALLS[machine]
    deny = len(denied) + 5  # the distance from the first comparison of a call to the end
    rows = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, deny + 1, architecture),
        (_LOAD, 0, 0, _CALL),
        (_AT_LEAST, deny - 1, 0, _OTHER_ABI),
        *((_EQUAL, deny - 2 - number, 0, call) for number, call in enumerate(denied)),
        (_EQUAL, 0, 2, socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _DENY),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *row) for row in rows))
    program = struct.pack("HP", len(rows), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.syscall(seccomp, _SET_FILTER, _ALL_THREADS, program):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
