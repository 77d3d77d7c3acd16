"""Removes tracemalloc's hooks in a forked child, and keeps the traces.

Tracing every allocation ten frames deep makes a child twenty times slower, and `tracemalloc.stop()` would drop the
traces that it must read. So the previous allocators are restored, in the child alone.

Source: CPython, PyMem_GetAllocator and PyMem_SetAllocator (c-api/memory).
"""

import ctypes

_DOMAINS = (0, 1, 2)  # raw, mem, object


class _Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("ctx", "malloc", "calloc", "realloc", "free")]


class Hooks:
    """The interpreter's allocators at the time this was created."""

    def __init__(self) -> None:
        self._saved = [(domain, _Allocator()) for domain in _DOMAINS]
        for domain, allocator in self._saved:
            ctypes.pythonapi.PyMem_GetAllocator(ctypes.c_int(domain), ctypes.byref(allocator))

    def lift(self) -> None:
        """Restore them."""
        for domain, allocator in self._saved:
            ctypes.pythonapi.PyMem_SetAllocator(ctypes.c_int(domain), ctypes.byref(allocator))
