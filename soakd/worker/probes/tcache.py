"""The main thread's cache of freed blocks in glibc (tcache), which mallinfo2 counts as in use.

The cache fills slowly with blocks of various sizes: some 60 kB in the first quarter of an hour, up to 240 kB in all.
That is not growth of the engine, but as large as the leaks that a soak looks for.

glibc allocates the cache's own record first, at the very start of the heap: counts of 64 size classes as 16-bit
numbers, then 64 lists (`tcache_perthread_struct` in malloc/malloc.c, glibc 2.30 to 2.41). Anything that looks different
is not taken for a cache.
"""

import ctypes

CLASSES = 64
MOST_PER_CLASS = 7
_HEADER_BYTES = 16
_RECORD_SIZE = 0x290
_FIRST_BLOCK_BYTES, _STEP_BYTES = 32, 16


class MainThreadCache:
    """The cache of the main thread, located once; empty for a process without one, or with another allocator."""

    def __init__(self) -> None:
        self._counts = _find_counts()

    def bytes(self) -> int:
        """Return the bytes in cached blocks, with headers, as mallinfo2 counts them."""
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
