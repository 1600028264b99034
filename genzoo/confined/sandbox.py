"""Confine this process for good: no files, network, processes or signals, and limited memory and time.

The reader of foreign checkpoints calls `confine` after its last import, and before it looks at a byte that it
was given. What remains is to compute, to read and write the pipes that are open, and to end:

- everywhere but on Windows: limits of the system on memory, processor time, new files, the size of files and
  core dumps;
- on Linux (x86-64 and arm64) also a filter in the kernel (seccomp) that refuses every system call outside
  a short list. It cannot be lifted by the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import sys
from collections.abc import Mapping
from types import MappingProxyType

CALLS = (
    "read",
    "write",
    "close",
    "lseek",
    "mmap",
    "mprotect",
    "munmap",
    "mremap",
    "brk",
    "madvise",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_yield",
    "futex",
    "clock_gettime",
    "getrandom",
    "exit",
    "exit_group",
)
# machine -> the kernel's number of the architecture, and of each of CALLS (asm/unistd_64.h, asm-generic)
_MACHINES: Mapping[str, tuple[int, tuple[int, ...]]] = MappingProxyType(
    {
        "x86_64": (0xC000003E, (0, 1, 3, 8, 9, 10, 11, 25, 12, 28, 13, 14, 15, 24, 202, 228, 318, 60, 231)),
        "aarch64": (
            0xC00000B7,
            (63, 64, 57, 62, 222, 226, 215, 216, 214, 233, 134, 135, 139, 124, 98, 113, 278, 93, 94),
        ),
    }
)
# of linux/prctl.h, linux/seccomp.h and linux/filter.h
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # refused calls fail with EPERM, number 1
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_CALL_AT, _ARCHITECTURE_AT = 0, 4  # bytes into what the filter sees of a call


def confine(memory: int, seconds: int) -> None:
    """Confine this process: at most `memory` bytes more than it has now, `seconds` of processor time.

    Raises:
        OSError: the kernel has the filter, but refuses to set it.
    """
    if sys.platform == "win32":
        return
    _limit(memory, seconds)
    if can_filter():
        _filter()


def can_filter() -> bool:
    """Return whether the kernel of this machine can refuse system calls in the way that is needed here."""
    return sys.platform == "linux" and platform.machine() in _MACHINES and sys.maxsize > 2**32


def _limit(memory: int, seconds: int) -> None:
    import resource

    limits = {
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 0,  # of files; pipes have no size
        "RLIMIT_NPROC": 0,
        "RLIMIT_CPU": seconds,
        "RLIMIT_NOFILE": 0,  # of new ones: those that are open stay
    }
    if (size := _size()) is not None:
        limits["RLIMIT_AS"] = size + memory
    for name, limit in limits.items():
        number = getattr(resource, name, None)
        # a lower hard limit, or a system that refuses this one: the others still count
        with contextlib.suppress(OSError, ValueError):
            if number is not None:
                resource.setrlimit(number, (limit, limit))


def _size() -> int | None:
    """Return the bytes of address space that this process has, None where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _filter() -> None:
    """Let the kernel refuse every system call but CALLS, from now on and for good."""
    architecture, numbers = _MACHINES[platform.machine()]
    last = len(numbers) + 4  # the place of the last step
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),  # the same process in another mode of the processor, with other numbers
        (_LOAD, 0, 0, _CALL_AT),
        *((_EQUAL, last - at, 0, number) for at, number in enumerate(numbers, 4)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    program = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of steps, and where they are
    header = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(program)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    for call in ((_NO_NEW_PRIVILEGES, 1, 0), (_SET_SECCOMP, _FILTER, ctypes.addressof(header))):
        if prctl(*call, 0, 0):
            number = ctypes.get_errno()
            raise OSError(number, f"the kernel refuses to confine the process: {os.strerror(number)}")
