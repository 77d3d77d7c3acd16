"""The heap snapshot: the types that hold the bytes, and the longest containers. Runs in a forked child only.

pympler also walks objects that the collector does not track (strings, numbers), at 30 us per object; above 200,000
tracked objects, or without pympler, a plain count of tracked objects is used. Both ask each object for its size, which
runs code of its type and may crash on an object that C code left half built; `basic_size` runs none. Two snapshots may
therefore cover different objects, or measure them differently: `method` says how each was taken.

Nothing collects after `gc.get_referents`: on CPython 3.12.1, asking it for every object of a process that has run an
event loop makes the next collection spin for ever (measured; 3.11.7 and 3.13.0 do not).
"""

import gc
import heapq
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

MOST_OBJECTS_FOR_PYMPLER = 200_000
TOP_TYPES, TOP_CONTAINERS = 30, 20
_NAME_LENGTH = 120
_CONTAINERS: tuple[tuple[type, Callable[[Any], int]], ...] = (
    (dict, dict.__len__), (list, list.__len__), (set, set.__len__), (deque, deque.__len__),
    (tuple, tuple.__len__), (frozenset, frozenset.__len__),
)  # fmt: skip
_REFERENT_CHUNK = 1000

_SIZED_BY_PYTHON = frozenset({dict, list, set, frozenset, tuple, str, bytes, bytearray, int, float, deque})

Histogram = dict[str, tuple[int, int]]
"""Type -> objects, bytes."""
Measure = Callable[[Any], int]


def load_pympler(site_packages: Sequence[str]) -> None:
    """Import pympler from soakd's own packages, at the end of the path; in the child, before it is confined.

    pympler would import numpy if it is installed; that is prevented unless the engine uses it: it is large, and starts
    threads.
    """
    if len(gc.get_objects()) > MOST_OBJECTS_FOR_PYMPLER:
        return
    sys.path.extend(site_packages)
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type]
    try:
        import pympler.muppy
        import pympler.summary  # noqa: F401
    except Exception:  # noqa: BLE001 - absent, or not for this interpreter: the plain count is used
        return


def basic_size(item: Any) -> int:
    """Return the size of an object of a common type, or else the basic size of its type; runs none of its code."""
    return sys.getsizeof(item) if type(item) in _SIZED_BY_PYTHON else object.__sizeof__(item)


def take_snapshot(measure: Measure = sys.getsizeof) -> dict[str, Any]:
    """Count the heap.

    Args:
        measure: sys.getsizeof, or `basic_size` if that has crashed.

    Returns:
        `method` ("pympler", "types" or "types, basic sizes"); `objects` and `bytes`, the totals measured; `types`, the
        30 largest by bytes as {type, count, bytes}; `containers`, the 20 longest as {type, length, id, bytes}, without
        their contents, and with `name` for a module's attribute. An object has the same id in every fork.
    """
    gc.collect()
    way = "types" if measure is sys.getsizeof else "types, basic sizes"
    method, histogram = _by_pympler() or (way, _by_type(gc.get_objects(), measure))
    longest = _longest_containers(gc.get_objects(), measure)  # last: see the module's docstring
    largest = heapq.nlargest(TOP_TYPES, histogram.items(), key=lambda item: item[1][1])
    return {
        "method": method,
        "objects": sum(count for count, _ in histogram.values()),
        "bytes": sum(size for _, size in histogram.values()),
        "types": [{"type": name, "count": count, "bytes": size} for name, (count, size) in largest],
        "containers": longest,
    }


def _by_pympler() -> tuple[str, Histogram] | None:
    muppy, summary = sys.modules.get("pympler.muppy"), sys.modules.get("pympler.summary")
    if muppy is None or summary is None:
        return None
    histogram: Histogram = {}
    try:
        for name, count, size in summary.summarize(muppy.get_objects()):
            _add(histogram, _plain_name(name), count, size)
    except Exception:  # noqa: BLE001 - it queries objects, and proxies may do anything
        return None
    return "pympler", histogram


def _plain_name(name: str) -> str:
    """Merge functions, modules and frames into one row each; pympler has one for every name."""
    return next((kind for kind in ("function", "module", "frame") if name.startswith((f"{kind} (", f"{kind}("))), name)


def _by_type(objects: Iterable[Any], measure: Measure = sys.getsizeof) -> Histogram:
    sizes: dict[type, list[int]] = {}
    for item in objects:
        entry = sizes.setdefault(type(item), [0, 0])
        entry[0] += 1
        entry[1] += _size(item, measure)
    histogram: Histogram = {}
    for kind, (count, size) in sizes.items():
        _add(histogram, _type_name(kind), count, size)
    return histogram


def _add(histogram: Histogram, name: str, count: int, size: int) -> None:
    before = histogram.get(name[:_NAME_LENGTH], (0, 0))
    histogram[name[:_NAME_LENGTH]] = (before[0] + count, before[1] + size)


def _size(item: Any, measure: Measure) -> int:
    try:
        return measure(item)
    except Exception:  # noqa: BLE001 - a __sizeof__ of the engine's own
        return 0


def _type_name(kind: type) -> str:
    try:
        module, name = str(kind.__module__), str(kind.__qualname__)
    except Exception:  # noqa: BLE001 - a metaclass may do anything
        return "?"
    return name if module == "builtins" else f"{module}.{name}"


def _longest_containers(objects: list[Any], measure: Measure = sys.getsizeof) -> list[dict[str, Any]]:
    seen: set[int] = set()
    longest = heapq.nlargest(TOP_CONTAINERS, _lengths(_with_untracked(objects, seen)), key=lambda entry: entry[1])
    names = _module_attributes({id(item) for item, _ in longest})
    return [
        {"type": _type_name(type(item))[:_NAME_LENGTH], "length": length, "id": id(item), "bytes": _size(item, measure)}
        | ({"name": names[id(item)][:_NAME_LENGTH]} if id(item) in names else {})
        for item, length in longest
    ]


def _with_untracked(objects: list[Any], seen: set[int]) -> Iterator[Any]:
    """Yield the objects, and the untracked containers that they hold (dicts of plain values)."""
    yield from objects
    for start in range(0, len(objects), _REFERENT_CHUNK):
        for item in gc.get_referents(*objects[start : start + _REFERENT_CHUNK]):
            if issubclass(type(item), (dict, tuple)) and not gc.is_tracked(item) and id(item) not in seen:
                seen.add(id(item))
                yield item


def _lengths(objects: Iterable[Any]) -> Iterator[tuple[Any, int]]:
    measures: dict[type, Callable[[Any], int] | None] = {}
    for item in objects:
        kind = type(item)
        if kind not in measures:
            measures[kind] = next((length for base, length in _CONTAINERS if issubclass(kind, base)), None)
        measure = measures[kind]
        if measure is not None:
            yield item, measure(item)


def _module_attributes(addresses: set[int]) -> dict[int, str]:
    names: dict[int, str] = {}
    for module_name, module in list(sys.modules.items()):
        attributes = getattr(module, "__dict__", None)
        if not isinstance(attributes, dict):
            continue
        names.setdefault(id(attributes), f"vars({module_name})")
        for name, value in list(attributes.items()):
            if id(value) in addresses:
                names.setdefault(id(value), f"{module_name}.{name}")
    return names
