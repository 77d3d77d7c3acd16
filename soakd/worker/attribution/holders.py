"""The holder search: finds containers that grow with the operations. Runs in forked children only.

An object has the same address in every fork, so lengths are compared across children and the process itself keeps
nothing. `census` packs the lengths at one moment; `growing` compares three of them. Immutable containers cannot grow.

Nothing collects after `gc.get_referents`: see `soakd.worker.probes.snapshot`.
"""

import array
import base64
import gc
import sys
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, islice, pairwise
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from soakd.worker.attribution.gains import Gain
from soakd.worker.attribution.objects import is_a, last_entries, newest_first

MOST_COUNTED = 60_000
"""The most containers in one census, the longest first: 1.9 MB of text."""
LEAST_FULL = 32
MOST_NAMED = 5
_SAMPLE = 16
_CHUNK = 1000
_LENGTH_BITS, _BESIDE_MASK = 48, 0xFFFF
_LENGTH_MASK = (1 << _LENGTH_BITS) - 1
_CONTAINERS: tuple[tuple[type, Callable[[Any], int]], ...] = (
    (dict, dict.__len__), (list, list.__len__), (set, set.__len__), (deque, deque.__len__),
)  # fmt: skip


class Growing(NamedTuple):
    """A container that keeps growing."""

    container: Any
    per_operation: float
    """Entries per operation."""
    newest: list[Any]
    bytes_per_entry: float
    """Including what only the entry holds; an estimate."""


class Counted(NamedTuple):
    """A container at one moment."""

    length: int
    last: int
    """The address of its newest entry (for a dictionary, of the key); 0 if it has no order."""
    beside: int
    """Part of the address of the entry before that. One address alone may have been reused for a new object."""


Census = dict[int, Counted]
"""By address."""


def census() -> str:
    """Pack address, length and last entry of every non-empty container; only the longest if there are too many."""
    found = sorted(((n, id(item), *_last(item)) for item, n in _lengths() if n), reverse=True)
    words = ((address, n | beside << _LENGTH_BITS, last) for n, address, last, beside in found[:MOST_COUNTED])
    return base64.b64encode(array.array("Q", chain.from_iterable(words)).tobytes()).decode()


def unpacked(text: str) -> Census:
    """Decode what `census` packed."""
    flat = array.array("Q")
    flat.frombytes(base64.b64decode(text))
    return {
        address: Counted(word & _LENGTH_MASK, last, word >> _LENGTH_BITS)
        for address, word, last in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    }


def turnover(before: Census, operations: int) -> int:
    """Return how many operations the slowest full container needs to replace all of its entries.

    A container is full if it has as many entries as `operations` earlier, but different ones. One that replaces fewer
    than one entry in a hundred operations is not waited for.
    """
    slowest = 0
    for item, length in _lengths():
        counted = before.get(id(item))
        if counted is None or length < LEAST_FULL or abs(length - counted.length) > max(2, length // 50):
            continue
        added = _behind(item, counted.last, counted.beside)
        if added is not None and added >= max(1, operations // 100):
            slowest = max(slowest, length * operations // added)
    return slowest


def growing(first: Census, second: Census, operations: tuple[int, int]) -> list[Growing]:
    """Return the containers that gained entries in both windows at a lasting rate, the heaviest growth first.

    Args:
        first: the census before the windows.
        second: the census between them; the present one is taken here.
        operations: the number in each window.
    """
    found = []
    for item, length in _lengths():
        address = id(item)
        if address not in second:
            continue
        middle = second[address].length
        gain = Gain(middle - (first[address].length if address in first else 0), length - middle, operations)
        if gain.lasts_in_number and _still_has(item, second[address].last):
            newest = _newest(item)
            found.append(Growing(item, gain.per_operation, newest, _weight(newest)))
    found.sort(key=lambda g: -g.per_operation * g.bytes_per_entry)
    return found[:MOST_NAMED]


def _lengths() -> Iterator[tuple[Any, int]]:
    objects = gc.get_objects()
    seen: set[int] = set()
    own = {id(objects), id(seen)}
    measures: dict[type, Callable[[Any], int] | None] = {}
    for item in _with_untracked(objects, seen):
        kind = type(item)
        if kind not in measures:
            measures[kind] = next((length for base, length in _CONTAINERS if issubclass(kind, base)), None)
        measure = measures[kind]
        if measure is not None and id(item) not in own:
            yield item, measure(item)


def _with_untracked(objects: list[Any], seen: set[int]) -> Iterator[Any]:
    """Yield the objects, and the untracked dictionaries of plain values that they hold."""
    yield from objects
    for start in range(0, len(objects), _CHUNK):
        for item in gc.get_referents(*objects[start : start + _CHUNK]):
            if issubclass(type(item), dict) and not gc.is_tracked(item) and id(item) not in seen:
                seen.add(id(item))
                yield item


def _newest(container: Any) -> list[Any]:
    """Return the last few entries if there is an order; for a dictionary, keys and values."""
    if is_a(container, dict):
        return [part for pair in islice(reversed(list(dict.items(container))), _SAMPLE) for part in pair]
    if is_a(container, list):
        return last_entries(container, _SAMPLE)
    if is_a(container, deque):
        return list(islice(deque.__reversed__(container), _SAMPLE))
    return list(islice(set.__iter__(container), _SAMPLE))


def _marks(container: Any) -> Iterator[tuple[int, int]]:
    """Yield for each entry, the newest first, its address and part of its neighbour's address."""
    addresses: Iterator[int]
    if is_a(container, list):
        addresses = newest_first(container)
    elif is_a(container, dict):
        addresses = map(id, dict.__reversed__(container))
    elif is_a(container, deque):
        addresses = map(id, deque.__reversed__(container))
    else:
        return iter(())
    pairs = pairwise(chain(addresses, (0,)))
    return ((address, before >> 4 & _BESIDE_MASK) for address, before in pairs)


def _last(container: Any) -> tuple[int, int]:
    return next(_marks(container), (0, 0))


def _behind(container: Any, last: int, beside: int | None = None) -> int | None:
    """Count the entries after the one that was the last; None if it is gone, or there is no order."""
    marks = enumerate(_marks(container))
    return next((n for n, (one, other) in marks if one == last and beside in (None, other)), None)


def _still_has(container: Any, last: int) -> bool:
    """Return whether the former last entry is still there: a container that is emptied and refilled does not leak."""
    return not last or is_a(container, set) or _behind(container, last) is not None


def _weight(newest: list[Any]) -> float:
    """Estimate the bytes of an entry: its own, and those of objects that few others hold."""
    if not newest:
        return 0.0
    seen: set[int] = set()
    return 8.0 + sum(_own_bytes(entry, seen, 3) for entry in newest) / min(len(newest), _SAMPLE)


def _own_bytes(item: Any, seen: set[int], depth: int) -> int:
    if id(item) in seen:
        return 0
    seen.add(id(item))
    try:
        size = sys.getsizeof(item)
    except Exception:  # noqa: BLE001 - a __sizeof__ of the engine's own
        return 0
    if depth:
        for part in gc.get_referents(item):
            if sys.getrefcount(part) <= 4 and not is_a(part, type, ModuleType, CodeType):
                size += _own_bytes(part, seen, depth - 1)
    return size
