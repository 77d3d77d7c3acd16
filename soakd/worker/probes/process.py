"""What /proc says, read with the standard library: the process itself, and the host's memory.

The daemon reads the same from outside with psutil; this is for decisions inside the worker.
"""

import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SHARE_COPIED = 0.7


def rss_bytes() -> int:
    """Resident bytes of this process; source: proc(5), /proc/self/statm."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE_BYTES


def open_fds() -> int:
    """File descriptors of this process, without the one that the count itself needs."""
    return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - no Path object per descriptor


def threads() -> int:
    """Threads of this process."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


def memory_available_bytes() -> int:
    """Bytes that the host can give out without swapping; source: proc(5), /proc/meminfo, MemAvailable.

    Raises:
        OSError, ValueError: /proc/meminfo is not there or has no such line.
    """
    text = Path("/proc/meminfo").read_bytes()
    at = text.index(b"MemAvailable:")
    return int(text[at:].split(None, 2)[1]) * 1024


def memory_short_for_a_fork() -> str | None:
    """Say why a forked child that visits every object would not fit; None where it does.

    Visiting an object writes to it: a child copies up to 70 % of the heap (measured).
    """
    needed, available = int(rss_bytes() * _SHARE_COPIED), memory_available_bytes()
    if available >= needed:
        return None
    return f"memory is short: a forked child may need {needed} bytes, {available} are available"
