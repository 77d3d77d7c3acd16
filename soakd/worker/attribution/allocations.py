"""Finds the lines that allocated surviving Python objects: tracemalloc, ten frames deep, read in forked children.

The traces of a process are copied by the fork, so the child can group them without making the process grow. The child
collects first: what only waits for the collector does not survive.
"""

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from soakd.worker.attribution.frames import Frame, is_application
from soakd.worker.attribution.gains import Gain

DEPTH = 10
MOST_SITES = 400
Trace = Sequence[tuple[str, int]]
Key = str
"""`file:line` of the leaf-most frame of the application."""


class Sum(NamedTuple):
    """The live bytes and blocks of a site."""

    size_bytes: int
    """Without the largest block: a table that is reallocated would count in full in one window."""
    blocks: int


NOTHING = Sum(0, 0)
LEAST_BYTES_PER_OPERATION = 1.0
"""Anything below is noise of free lists and of the tool itself."""


def survivors() -> tuple[dict[Key, Sum], dict[Key, Trace]]:
    """Add up the traces of each site, with the stack of its largest trace."""
    import _tracemalloc

    sums: dict[Key, Sum] = {}
    largest: dict[Key, tuple[int, Trace]] = {}
    for entry in _tracemalloc._get_traces():  # noqa: SLF001 - what take_snapshot wraps, at a tenth of the memory
        size, trace = entry[1], entry[2]
        key = site_of(trace)
        if key is None:
            continue
        before = sums.get(key, NOTHING)
        sums[key] = Sum(before.size_bytes + size, before.blocks + 1)
        if size >= largest.get(key, (0, ()))[0]:
            largest[key] = size, trace
    kept = sorted(sums, key=lambda key: sums[key], reverse=True)[:MOST_SITES]
    without = {key: Sum(sums[key].size_bytes - largest[key][0], sums[key].blocks) for key in kept}
    return without, {key: largest[key][1] for key in kept}


def growing(
    before: Mapping[Key, Sum], present: Mapping[Key, Sum], operations: tuple[int, int]
) -> dict[Key, float]:  # fmt: skip
    """Return the sites that keep growing, with their bytes per operation in the second window.

    Such a site gained blocks in both windows, and its blocks or its bytes grow at a lasting rate. Only bytes show large
    blocks that leak among short-lived small ones; only blocks show small ones beside a filling cache.

    Args:
        before: what was alive after the first window, with which tracing began.
        present: what is alive after the second window.
        operations: the number in each window.
    """
    rates = {}
    for key, now in present.items():
        middle = before.get(key, NOTHING)
        size = Gain.since(middle.size_bytes, now.size_bytes, operations)
        blocks = Gain.since(middle.blocks, now.blocks, operations)
        lasts = blocks.goes_on and (blocks.lasts or size.lasts)
        if lasts and size.per_operation >= LEAST_BYTES_PER_OPERATION:
            rates[key] = size.per_operation
    return rates


def site_of(trace: Trace | None) -> Key | None:
    """Return the leaf-most application frame of a trace (leaf first), or None if it has none."""
    return next((f"{file}:{line}" for file, line in trace or () if is_application(file)), None)


def trace_of(item: Any) -> Trace | None:
    """Return the stack that allocated an object, leaf first; None if it was not traced."""
    module = sys.modules.get("_tracemalloc")
    return module._get_object_traceback(item) if module is not None else None  # noqa: SLF001


def with_functions(traces: Mapping[Key, Trace]) -> dict[Key, list[Frame]]:
    """Add function names to the frames from live code objects; tracemalloc does not keep them."""
    files = {file for trace in traces.values() for file, _ in trace}
    found: dict[tuple[str, int], tuple[int, str]] = {}
    for code in _codes(files):
        lines = {line for _, _, line in code.co_lines() if line}
        for line in lines:
            at = code.co_filename, line
            if at not in found or len(lines) < found[at][0]:  # the innermost function that has the line
                found[at] = len(lines), code.co_qualname
    return {
        key: [Frame(file, line, found.get((file, line), (0, ""))[1]) for file, line in trace]
        for key, trace in traces.items()
    }


def _codes(files: set[str]) -> Iterator[CodeType]:
    todo = [o.__code__ for o in gc.get_objects() if type(o) is FunctionType and o.__code__.co_filename in files]
    seen: set[int] = set()
    while todo:
        code = todo.pop()
        if id(code) not in seen:
            seen.add(id(code))
            yield code
            todo.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
