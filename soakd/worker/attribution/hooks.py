"""Take tracemalloc's hooks out of a forked child, and leave it the traces.

Where every allocation is traced ten frames deep, what a child does takes twenty times as long; `tracemalloc.stop()`
would forget the traces that it is to read. So the allocators that were there before are put back, in the child alone.

Source: CPython, PyMem_GetAllocator and PyMem_SetAllocator (c-api/memory).
"""

import ctypes

_DOMAINS = (0, 1, 2)  # raw, mem, object


class _Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("ctx", "malloc", "calloc", "realloc", "free")]


class Hooks:
    """The interpreter's allocators as they were when this was made."""

    def __init__(self) -> None:
        self._saved = [(domain, _Allocator()) for domain in _DOMAINS]
        for domain, allocator in self._saved:
            ctypes.pythonapi.PyMem_GetAllocator(ctypes.c_int(domain), ctypes.byref(allocator))

    def lift(self) -> None:
        """Put them back."""
        for domain, allocator in self._saved:
            ctypes.pythonapi.PyMem_SetAllocator(ctypes.c_int(domain), ctypes.byref(allocator))
