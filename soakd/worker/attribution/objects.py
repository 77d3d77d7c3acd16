"""Objects of the engine, read so that none of its code runs, and no entry is taken out of what C code left half built.

What an object is, its type says: `isinstance` would ask the object's own `__class__`.

`PyList_New` of the C API makes a list whose slots are all empty, for C code to fill. One that is leaked before it was
filled stays so. Taking an entry out of such a slot, as iterating and slicing do, dereferences NULL: the process dies.
So slots are read as addresses. Tuples are the same, and not looked into: they cannot grow.

Source: CPython, Include/cpython/listobject.h: the object's head, its size, the address of its slots.
"""

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

_WORD = ctypes.sizeof(ctypes.c_void_p)
_SLOTS_AT = object.__basicsize__ + _WORD
_BLOCK = 1024


def is_a(item: Any, *kinds: type) -> bool:
    """Return whether an object is of one of these types, or of one made from them."""
    return issubclass(type(item), kinds)


def newest_first(items: list[Any]) -> Iterator[int]:
    """Give the address in each slot, the last slot first; 0 for an empty one."""
    for end in range(list.__len__(items), 0, -_BLOCK):
        yield from reversed(_addresses(items, max(0, end - _BLOCK), end))


def last_entries(items: list[Any], most: int) -> list[Any]:
    """Return what is in the last slots of a list, without the empty ones."""
    end = list.__len__(items)
    start = max(0, end - most)
    held = enumerate(_addresses(items, start, end), start)
    return [list.__getitem__(items, place) for place, address in held if address]


def _addresses(items: list[Any], start: int, end: int) -> Sequence[int]:
    """Read the slots from `start` to `end`, which must be there."""
    slots = ctypes.c_void_p.from_address(id(items) + _SLOTS_AT).value or 0
    words = ctypes.string_at(slots + start * _WORD, (end - start) * _WORD) if end > start else b""
    return memoryview(words).cast("P")
