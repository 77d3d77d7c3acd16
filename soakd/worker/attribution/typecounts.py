"""Finds the types of Python objects that grow: counts and bytes by type, in forked children.

pympler is more careful but thirty times slower; heap snapshots use it.
"""

import gc
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from soakd.worker.attribution.gains import Gain

MOST_OBJECTS = 500_000
MOST_TYPES, MOST_GROWING = 200, 5
LEAST_BYTES_PER_OPERATION = 1.0
_CHUNK = 1000

Counts = dict[str, tuple[int, int]]
"""Type -> objects, bytes."""


def by_type(skip: Sequence[Any] = ()) -> Counts:
    """Count what the collector tracks, and what that refers to directly; empty if it would take too long.

    Objects in `skip` belong to the counting itself.
    """
    objects = gc.get_objects()
    if len(objects) > MOST_OBJECTS:
        return {}
    sums: dict[type, list[int]] = {}
    for item in objects:
        _add(sums, item)
    seen = {id(item) for item in skip}
    for start in range(0, len(objects), _CHUNK):
        for item in gc.get_referents(*objects[start : start + _CHUNK]):
            if id(item) not in seen and not gc.is_tracked(item):
                seen.add(id(item))
                _add(sums, item)
    largest = sorted(sums.items(), key=lambda entry: -entry[1][1])[:MOST_TYPES]
    return {_name(kind): (count, size) for kind, (count, size) in largest}


def growing(
    first: Mapping[str, Any], second: Mapping[str, Any], third: Counts, operations: tuple[int, int]
) -> list[dict[str, Any]]:  # fmt: skip
    """Compare three counts; return the types that keep growing, the heaviest growth first."""
    found = []
    for name, (count, size) in third.items():
        (_, size_1), (count_2, size_2) = first.get(name, (0, 0)), second.get(name, (0, 0))
        gain = Gain(size_2 - size_1, size - size_2, operations)
        if gain.per_operation >= LEAST_BYTES_PER_OPERATION and gain.lasts:
            each, rate = (count - count_2) / operations[1], gain.per_operation
            found.append({"type": name, "per_operation": round(each, 4), "bytes_per_operation": round(rate, 1)})
    return sorted(found, key=lambda entry: -entry["bytes_per_operation"])[:MOST_GROWING]


def _add(sums: dict[type, list[int]], item: Any) -> None:
    entry = sums.setdefault(type(item), [0, 0])
    entry[0] += 1
    try:
        entry[1] += sys.getsizeof(item)
    except Exception:  # noqa: BLE001 - a __sizeof__ of the engine's own
        return


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"[:120]
