"""Allocators called through ctypes: seen while it is open, by the line that calls; as they were afterwards."""

import ctypes

import pytest

from soakd.worker.attribution.foreign import ForeignCalls, _address_of

pytestmark = pytest.mark.usefixtures("every_object_is_seen")

LIBC = ctypes.CDLL(None, use_errno=True)
for name in ("malloc", "calloc", "realloc", "mmap"):
    getattr(LIBC, name).restype = ctypes.c_void_p
LIBC.malloc.argtypes = [ctypes.c_size_t]
LIBC.calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
LIBC.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
LIBC.free.argtypes = [ctypes.c_void_p]
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
EINVAL = 22


def sizes(calls: ForeignCalls) -> list[int]:
    return sorted(seen.size_bytes for seen in calls.close().values())


def test_blocks_that_stay_are_counted_by_the_line_that_asked_for_them() -> None:
    calls = ForeignCalls()
    calls.open()
    kept = [LIBC.malloc(100) for _ in range(3)]
    other = LIBC.calloc(10, 20)
    (mine, others) = sorted(calls.close().values(), key=lambda seen: -seen.size_bytes)
    assert (mine.size_bytes, others.size_bytes) == (300, 200)
    assert mine.stack[0].function.startswith("test_blocks_that_stay")
    for address in [*kept, other]:
        LIBC.free(address)


def test_blocks_that_are_freed_moved_or_unmapped_are_not() -> None:
    calls = ForeignCalls()
    calls.open()
    LIBC.free(LIBC.malloc(100))
    moved = LIBC.realloc(LIBC.malloc(100), 5000)
    LIBC.munmap(LIBC.mmap(None, 4096, 3, 0x22, -1, 0), 4096)
    assert sizes(calls) == [5000]
    LIBC.free(moved)


def test_a_block_from_before_may_be_freed_and_a_failure_stays_one() -> None:
    before = LIBC.malloc(100)
    calls = ForeignCalls()
    calls.open()
    LIBC.free(before)
    LIBC.free(None)
    ctypes.set_errno(0)
    assert LIBC.mmap(None, 0, 3, 0x22, -1, 0) == ctypes.c_void_p(-1).value
    assert ctypes.get_errno() == EINVAL
    assert sizes(calls) == []


def test_every_function_calls_what_it_called_before() -> None:
    before = [_address_of(LIBC.malloc), _address_of(LIBC.free)]
    calls = ForeignCalls()
    calls.open()
    assert [_address_of(LIBC.malloc), _address_of(LIBC.free)] != before
    calls.close()
    assert [_address_of(LIBC.malloc), _address_of(LIBC.free)] == before
    address = LIBC.malloc(64)
    LIBC.free(address)
    assert sizes(calls) == []
