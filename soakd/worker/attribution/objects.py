"""Reads the engine's objects without running its code, or touching entries that C code left half built.

Types are read with `type`: `isinstance` would ask the object's own `__class__`.

`PyList_New` of the C API makes a list whose slots are all empty, for C code to fill. A list that leaks before it is
filled stays so. Reading such a slot, as iterating and slicing do, dereferences NULL and kills the process. So slots are
read as addresses. Tuples are built the same way, and skipped: they cannot grow.

Source: CPython, Include/cpython/listobject.h: the object's header, its size, the address of its slots.
"""

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

_WORD = ctypes.sizeof(ctypes.c_void_p)
_SLOTS_AT = object.__basicsize__ + _WORD
_BLOCK = 1024


def is_a(item: Any, *kinds: type) -> bool:
    """Return whether an object's type is one of these or a subclass."""
    return issubclass(type(item), kinds)


def newest_first(items: list[Any]) -> Iterator[int]:
    """Yield the address in each slot, the last slot first; 0 for an empty one."""
    for end in range(list.__len__(items), 0, -_BLOCK):
        yield from reversed(_addresses(items, max(0, end - _BLOCK), end))


def last_entries(items: list[Any], most: int) -> list[Any]:
    """Return the objects in the last slots of a list, without the empty slots."""
    end = list.__len__(items)
    start = max(0, end - most)
    held = enumerate(_addresses(items, start, end), start)
    return [list.__getitem__(items, place) for place, address in held if address]


def _addresses(items: list[Any], start: int, end: int) -> Sequence[int]:
    """Read the slots from `start` to `end`, which must exist."""
    slots = ctypes.c_void_p.from_address(id(items) + _SLOTS_AT).value or 0
    words = ctypes.string_at(slots + start * _WORD, (end - start) * _WORD) if end > start else b""
    return memoryview(words).cast("P")
