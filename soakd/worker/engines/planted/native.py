"""Leaks that no Python object shows: malloc, mappings, Rust, references that an extension never drops."""

import ctypes
import itertools
import mmap
from collections.abc import Callable

MALLOC_HEADER_BYTES = 8
PAGE_BYTES = mmap.PAGESIZE
PROT_READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE

Operation = Callable[[], None]


def malloc(*, keep: bool, bytes_per_operation: int = 100) -> Operation:
    """Allocate through the C library and touch the block; the twin frees it."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    size = max(24, bytes_per_operation - MALLOC_HEADER_BYTES)

    def operation() -> None:
        address = libc.malloc(size)  # leak: ctypes_malloc
        ctypes.memset(address, 0xA5, size)
        if not keep:
            libc.free(address)

    return operation


def mapping(*, keep: bool, bytes_per_operation: int = 100) -> Operation:
    """Map a page whenever one is due and touch it; the twin unmaps it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    owed = 0

    def operation() -> None:
        nonlocal owed
        owed += bytes_per_operation
        while owed >= PAGE_BYTES:
            owed -= PAGE_BYTES
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            address = libc.mmap(None, PAGE_BYTES, PROT_READ_WRITE, flags, -1, 0)  # leak: ctypes_mmap
            if address == ctypes.c_void_p(-1).value:
                raise OSError(ctypes.get_errno(), "mmap")
            ctypes.memset(address, 0xA5, PAGE_BYTES)
            if not keep:
                libc.munmap(address, PAGE_BYTES)

    return operation


def rust_box(*, keep: bool, bytes_per_operation: int = 100) -> Operation:
    """Leak a box in Rust; the twin makes a small Rust cache and drops it."""
    from soakd._native import Cache, leak_box

    if keep:
        return lambda: leak_box(bytes_per_operation)

    def operation() -> None:
        Cache(max(1, bytes_per_operation // 50))

    return operation


def pyo3_reference(*, keep: bool, bytes_per_operation: int = 100) -> Operation:
    """Give an extension a Python object whose reference it never drops; the twin's extension drops it."""
    from soakd._native import Cache, leak_reference

    store, keys = Cache(1), itertools.cycle(("a", "b"))
    size = max(1, bytes_per_operation - b"".__sizeof__())

    def operation() -> None:
        if keep:
            leak_reference(bytes(size))  # leak: pyo3_reference
        else:
            store.set(next(keys), bytes(size))

    return operation
