"""Keep freed memory in the process while a CPU trains.

glibc gives a large block back to the kernel as soon as it is freed, and each step of training then pays for
thousands of page faults as the same activations come again: a tenth to a quarter of a step, most on virtual
machines. If it keeps the memory, the process is as large as its largest step, as it would be anyway.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
_NEVER, _LARGE = -1, 2**30


def keep_freed_memory() -> bool:
    """Make glibc's malloc keep freed memory for the rest of this process; return whether it does (False
    without glibc).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl has none
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _NEVER)) and bool(mallopt(_MMAP_THRESHOLD, _LARGE))
