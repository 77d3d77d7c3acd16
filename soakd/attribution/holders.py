"""The holder search: which containers grow with the operations, and who holds them. Runs in forked children only.

An object has the same address in every fork, so lengths are compared from child to child and the process itself keeps
nothing. `census` packs the lengths of one moment; `growing` compares three of them. Immutable containers cannot grow.

Nothing collects after `gc.get_referents`: see `soakd.probes.snapshot`.
"""

import array
import base64
import gc
import sys
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, islice, pairwise
from types import (
    AsyncGeneratorType,
    CellType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MethodType,
    ModuleType,
)  # fmt: skip
from typing import Any, NamedTuple

from soakd.attribution.gains import Gain

MOST_COUNTED = 60_000
"""Containers in one census, the longest ones: 1.9 MB of text."""
LEAST_FULL = 32
MOST_NAMED = 5
MOST_DEPTH = 5
_SAMPLE = 16
_CHUNK = 1000
_LENGTH_BITS, _BESIDE_MASK = 48, 0xFFFF
_LENGTH_MASK = (1 << _LENGTH_BITS) - 1
_CONTAINERS: tuple[tuple[type, Callable[[Any], int]], ...] = (
    (dict, dict.__len__), (list, list.__len__), (set, set.__len__), (deque, deque.__len__),
)  # fmt: skip
_SHARED = (type, ModuleType, FunctionType, CodeType, FrameType)


class Growing(NamedTuple):
    """A container that keeps growing."""

    container: Any
    per_operation: float
    """Entries."""
    newest: list[Any]
    bytes_per_entry: float
    """With what only the entry holds; an estimate."""


class Counted(NamedTuple):
    """A container at one moment."""

    length: int
    last: int
    """The address of its newest entry (of a dictionary, of its key), 0 where there is no order."""
    beside: int
    """Some of the address of the entry before that. An address alone may be that of something new, which came to where
    something old was freed."""


Census = dict[int, Counted]
"""By address."""


def census() -> str:
    """Pack address, length and last entry of every container that is not empty, the longest where they are too many."""
    found = sorted(((n, id(item), *_last(item)) for item, n in _lengths() if n), reverse=True)
    words = ((address, n | beside << _LENGTH_BITS, last) for n, address, last, beside in found[:MOST_COUNTED])
    return base64.b64encode(array.array("Q", chain.from_iterable(words)).tobytes()).decode()


def unpacked(text: str) -> Census:
    """Read what `census` packed."""
    flat = array.array("Q")
    flat.frombytes(base64.b64decode(text))
    return {
        address: Counted(word & _LENGTH_MASK, last, word >> _LENGTH_BITS)
        for address, word, last in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    }


def turnover(before: Census, operations: int) -> int:
    """Return after how many operations the slowest of the full containers has replaced all of its entries.

    A container is full where it has as many entries as `operations` before, and other ones. One that replaces less than
    one in a hundred operations is not waited for.
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
    """Return the containers that gained entries in both windows at a rate that lasts, the heaviest growth first.

    Args:
        first: what was counted before the windows.
        second: between them; the present is counted here.
        operations: how many there were in each.
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


def name_of(container: Any, ignore: list[Any]) -> tuple[str, str, str]:
    """Say who holds a container.

    Args:
        container: what is held.
        ignore: objects of the search itself, which hold it too.

    Returns:
        The holder in words ("list `kept` of python_list.<locals>.operation"), the file and the function that belong to
        it, "" where neither is known.
    """
    kind, path, item = type(container).__name__, "", container
    hidden = {id(thing) for thing in ignore}
    for _ in range(MOST_DEPTH):
        hidden.add(id(item))
        referrers = [r for r in gc.get_referrers(item) if id(r) not in hidden and not isinstance(r, FrameType)]
        hidden.add(id(referrers))
        for describe in (_of_module, _of_cell, _of_class, _of_instance, _of_function, _of_generator):
            for referrer in referrers:
                if (found := describe(item, referrer)) is not None:
                    words, file, function = found
                    return f"{kind}{path} {words}", file, function
        items = [r for r in referrers if isinstance(r, dict | list | tuple | set | deque)]
        item = next(iter(items), None) or next((r for r in referrers if not isinstance(r, _SHARED)), None)
        if item is None:
            break
        path += f" in a {type(item).__name__}"
    return f"{kind}{path} (holder not found)", "", ""


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
    """Give the objects and the dictionaries of plain values that they hold, which the collector does not track."""
    yield from objects
    for start in range(0, len(objects), _CHUNK):
        for item in gc.get_referents(*objects[start : start + _CHUNK]):
            if issubclass(type(item), dict) and not gc.is_tracked(item) and id(item) not in seen:
                seen.add(id(item))
                yield item


def _newest(container: Any) -> list[Any]:
    """Return the last few entries, where there is an order; of a dictionary, key and value."""
    if isinstance(container, dict):
        return [part for pair in islice(reversed(list(dict.items(container))), _SAMPLE) for part in pair]
    if isinstance(container, list):
        return list.__getitem__(container, slice(-_SAMPLE, None))
    if isinstance(container, deque):
        return list(islice(reversed(list(deque.__iter__(container))), _SAMPLE))
    return list(islice(set.__iter__(container), _SAMPLE))


def _marks(container: Any) -> Iterator[tuple[int, int]]:
    """Give address, and some of the address of what stands beside it, of each entry, the newest first."""
    backwards: Iterator[Any]
    if isinstance(container, dict):
        backwards = dict.__reversed__(container)
    elif isinstance(container, list):
        backwards = list.__reversed__(container)
    elif isinstance(container, deque):
        backwards = deque.__reversed__(container)
    else:
        return iter(())
    pairs = pairwise(chain((id(entry) for entry in backwards), (0,)))
    return ((address, before >> 4 & _BESIDE_MASK) for address, before in pairs)


def _last(container: Any) -> tuple[int, int]:
    return next(_marks(container), (0, 0))


def _behind(container: Any, last: int, beside: int | None = None) -> int | None:
    """Count the entries behind the one that was the last; None where it is gone, or there is no order."""
    marks = enumerate(_marks(container))
    return next((n for n, (one, other) in marks if one == last and beside in (None, other)), None)


def _still_has(container: Any, last: int) -> bool:
    """Tell whether what was the last entry is there still: what is emptied and filled again leaks nothing."""
    return not last or isinstance(container, set) or _behind(container, last) is not None


def _weight(newest: list[Any]) -> float:
    """Estimate the bytes of an entry: its own, and of what few others hold."""
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
            if sys.getrefcount(part) <= 4 and not isinstance(part, type | ModuleType | CodeType):
                size += _own_bytes(part, seen, depth - 1)
    return size


def _of_module(item: Any, referrer: Any) -> tuple[str, str, str] | None:
    if not isinstance(referrer, dict) or "__name__" not in referrer or "__spec__" not in referrer:
        return None
    name = next((str(key) for key, value in list(referrer.items()) if value is item), "?")
    return f"`{referrer['__name__']}.{name}`", str(referrer.get("__file__") or ""), f"{name}"


def _of_cell(_: Any, referrer: Any) -> tuple[str, str, str] | None:
    if not isinstance(referrer, CellType):
        return None
    for holder in gc.get_referrers(referrer):
        if not isinstance(holder, tuple):
            continue
        for function in gc.get_referrers(holder):
            if isinstance(function, FunctionType) and function.__closure__ is holder:
                name = function.__code__.co_freevars[holder.index(referrer)]
                return f"`{name}` of {function.__qualname__}", function.__code__.co_filename, function.__qualname__
    return None


def _of_class(item: Any, referrer: Any) -> tuple[str, str, str] | None:
    if not isinstance(referrer, type):
        for kind in gc.get_referrers(referrer) if isinstance(referrer, dict) and "__module__" in referrer else ():
            if isinstance(kind, type):
                return _of_class(item, kind)
        return None
    name = next((str(key) for key, value in list(vars(referrer).items()) if value is item), "?")
    return f"`{referrer.__module__}.{referrer.__qualname__}.{name}`", _file_of(referrer), referrer.__qualname__


def _of_instance(item: Any, referrer: Any) -> tuple[str, str, str] | None:
    """Find the attribute of an instance, by its dictionary, its inline values or its slots."""
    owner = referrer
    if isinstance(referrer, dict):
        owner = next((o for o in gc.get_referrers(referrer) if getattr(o, "__dict__", None) is referrer), None)
    if owner is None or isinstance(owner, dict | list | tuple | set | deque | type | CellType | MethodType):
        return None
    if (wrapped := getattr(owner, "__wrapped__", None)) is not None and isinstance(wrapped, FunctionType):
        return f"cache of {wrapped.__qualname__}", wrapped.__code__.co_filename, wrapped.__qualname__
    kind = type(owner)
    name = next((str(k) for k, v in list(getattr(owner, "__dict__", {}).items()) if v is item), None)
    name = name or next((slot for slot in _slots(kind) if getattr(owner, slot, None) is item), None)
    if name is None:
        return None
    return f"`{name}` of a {kind.__module__}.{kind.__qualname__}", _file_of(kind), kind.__qualname__


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        for name, value in list(vars(base).items()):
            if type(value).__name__ == "member_descriptor" and not isinstance(value, GetSetDescriptorType):
                yield name


def _of_function(_: Any, referrer: Any) -> tuple[str, str, str] | None:
    """A default value of a function is held by it."""
    if isinstance(referrer, tuple):
        holder = next((f for f in gc.get_referrers(referrer) if isinstance(f, FunctionType)), None)
        if holder is not None and holder.__defaults__ is referrer:
            return f"default of {holder.__qualname__}", holder.__code__.co_filename, holder.__qualname__
    return None


def _of_generator(item: Any, referrer: Any) -> tuple[str, str, str] | None:
    """A variable of a coroutine or generator that waits."""
    for kind, prefix in ((CoroutineType, "cr"), (GeneratorType, "gi"), (AsyncGeneratorType, "ag")):
        frame = getattr(referrer, f"{prefix}_frame") if isinstance(referrer, kind) else None
        if frame is not None:
            name = next((name for name, value in frame.f_locals.items() if value is item), None)
            code = frame.f_code
            return (f"`{name}` of {code.co_qualname}", code.co_filename, code.co_qualname) if name else None
    return None


def _file_of(kind: type) -> str:
    return str(getattr(sys.modules.get(kind.__module__), "__file__", None) or "")
