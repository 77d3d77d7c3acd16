"""What glibc's cache of freed blocks (tcache) of the main thread holds: blocks that mallinfo2 counts as in use.

The cache fills by and by, with the odd sizes that come along: some 60 kB in the first quarter of an hour, up to 240 kB
in all. That is no growth of the engine, and as large as what a soak looks for.

glibc allocates the cache's own record first of all, at the very start of the heap: counts of 64 size classes as 16-bit
numbers, then 64 lists (`tcache_perthread_struct` in malloc/malloc.c, glibc 2.30 to 2.41). Whatever looks otherwise is
taken for no cache.
"""

import ctypes

CLASSES = 64
MOST_PER_CLASS = 7
_HEADER_BYTES = 16
_RECORD_SIZE = 0x290
_FIRST_BLOCK_BYTES, _STEP_BYTES = 32, 16


class MainThreadCache:
    """The cache of the main thread, found once; a process that has none, or another allocator, reads as empty."""

    def __init__(self) -> None:
        self._counts = _find_counts()

    def bytes(self) -> int:
        """Return the bytes in cached blocks, headers included, as mallinfo2 counts them."""
        if self._counts is None or max(self._counts) > MOST_PER_CLASS:
            return 0
        return sum(n * (_FIRST_BLOCK_BYTES + _STEP_BYTES * i) for i, n in enumerate(self._counts))


def _find_counts() -> "ctypes.Array[ctypes.c_uint16] | None":
    start = _heap_start()
    if start is None or ctypes.c_size_t.from_address(start + 8).value & ~7 != _RECORD_SIZE:
        return None
    return (ctypes.c_uint16 * CLASSES).from_address(start + _HEADER_BYTES)


def _heap_start() -> int | None:
    try:
        with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
            lines = [line for line in maps if line.rstrip().endswith("[heap]")]
    except OSError:
        return None
    return int(lines[0].partition("-")[0], 16) if lines else None
