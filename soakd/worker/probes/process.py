"""Reads /proc with the standard library: this process, and the host's memory.

The daemon reads the same from outside with psutil; these readings are for decisions inside the worker.
"""

import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SHARE_COPIED = 0.7


def rss_bytes() -> int:
    """Return the resident bytes of this process; source: proc(5), /proc/self/statm."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE_BYTES


def open_fds() -> int:
    """Return the number of open file descriptors, without the one that the count itself needs."""
    return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - no Path object per descriptor


def threads() -> int:
    """Return the number of threads of this process."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


def memory_available_bytes() -> int:
    """Return the bytes that the host has available without swapping; source: proc(5), /proc/meminfo, MemAvailable.

    Raises:
        OSError, ValueError: /proc/meminfo is not there or has no such line.
    """
    text = Path("/proc/meminfo").read_bytes()
    at = text.index(b"MemAvailable:")
    return int(text[at:].split(None, 2)[1]) * 1024


def memory_short_for_a_fork() -> str | None:
    """Return why there is too little memory for a forked child that visits every object; None if there is enough.

    Visiting an object writes to it: a child copies up to 70 % of the heap (measured).
    """
    needed, available = int(rss_bytes() * _SHARE_COPIED), memory_available_bytes()
    if available >= needed:
        return None
    return f"memory is short: a forked child may need {needed} bytes, {available} are available"
