"""`python -m soakd.worker.attribution.resolve CAPTURE OPERATIONS CAPTURE OPERATIONS`: the sites that two windows found.

Runs in a separate process, with the engine's interpreter and memray: symbols are looked up here, seconds after the
window, not in the judged process. Prints one JSON object: {"sites": [...]}.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from soakd.wire.sites import Site, encode
from soakd.worker.attribution.frames import MOST_FRAMES, Frame, fingerprint, is_application, is_harness, real_place
from soakd.worker.attribution.gains import Gain

LEAST_BYTES_PER_OPERATION = 1.0
LEAST_BLOCKS = 4
MOST_SITES = 10
MOST_STACK = 60
PYTHON = (".py", ".pyx")
_ALLOCATORS = re.compile(
    r"^(__)?(malloc|calloc|realloc|memalign|posix_memalign|aligned_alloc|mmap(64)?|strn?dup|operator new.*"
    r"|(std::)?alloc.*|_?_?rust_alloc\w*|_?_?rust_realloc|_*rdl_\w+|_?_?rg_\w+|PyMem_\w+|PyObject_\w+|_PyMem_\w+)$"
)
_PLUMBING = re.compile(
    # Rust's library: under rustup's toolchain names, or where a distribution builds it
    r"^/rustc/|^/rust/deps/|/rustlib/src/"
    r"|/rustc?-(\d+\.\d|beta|nightly)[^/]*/(library/\w+|vendor)/"
    r"|/pyo3(-\w+)?-\d|(^|/)allocator\.rs$"
    r"|(^|/)(Objects|Python|Modules|Include(/internal)?|Parser|Programs)/\w+\.[ch]$|^\.{1,2}/(sysdeps|csu|nptl|malloc|elf|libio|stdlib|string)/"
)
_LIBRARY = re.compile(r"(^|/)library/(alloc|std)/src/")


class Seen(NamedTuple):
    """A site in one capture."""

    size_bytes: int
    blocks: int
    stack: tuple[Frame, ...]
    """The stack of its largest allocation, leaf first."""


Key = tuple[str, int]
"""File and line."""


def main(arguments: Sequence[str]) -> int:
    """Read both captures and print the sites that keep growing."""
    (first, operations_1), (second, operations_2) = (
        (read_capture(path), int(operations)) for path, operations in zip(arguments[::2], arguments[1::2], strict=True)
    )
    sites = growing(first, second, (operations_1, operations_2))
    json.dump({"sites": [encode(site) for site in sites]}, sys.stdout)
    return 0


def read_capture(path: str) -> dict[Key, Seen]:
    """Add up what was allocated in a window and not freed, by the leaf-most application frame."""
    import memray

    reader = memray.FileReader(path)
    try:
        return by_site(
            (r.size, r.n_allocations, stack_of(r)) for r in reader.get_leaked_allocation_records(merge_threads=True)
        )
    finally:
        reader.close()


def by_site(records: Iterable[tuple[int, int, Sequence[Frame]]]) -> dict[Key, Seen]:
    """Group allocations (bytes, blocks, stack) by site; those without an application frame are left out."""
    found: dict[Key, Seen] = {}
    largest: dict[Key, int] = {}
    for size, blocks, stack in records:
        leaf = next(_application(stack), None)
        python = next((frame.file for frame in stack if frame.file.endswith(PYTHON)), "")
        if leaf is None or is_harness(python):
            continue
        key = leaf.file, leaf.line
        keeps = found[key].stack if size <= largest.get(key, -1) else tuple(stack)
        largest[key] = max(size, largest.get(key, -1))
        before = found.get(key, Seen(0, 0, ()))
        found[key] = Seen(size + before.size_bytes, blocks + before.blocks, keeps)
    return found


def growing(
    first: dict[Key, Seen], second: dict[Key, Seen], operations: tuple[int, int], tool: str = "memray"
) -> Iterator[Site]:  # fmt: skip
    """Yield the sites whose rate lasts through the second, longer window, the heaviest first.

    A few large blocks are not a rate: a table that was reallocated shows at its full size.
    """
    rates = {}
    for key, seen in second.items():
        if seen.blocks < LEAST_BLOCKS:
            continue
        before = first.get(key, Seen(0, 0, ()))
        size = Gain(before.size_bytes, seen.size_bytes, operations)
        lasts = size.lasts and Gain(before.blocks, seen.blocks, operations).lasts
        if key in first and size.per_operation >= LEAST_BYTES_PER_OPERATION and lasts:
            rates[key] = size.per_operation
    for key in sorted(rates, key=lambda key: -rates[key])[:MOST_SITES]:
        yield _site(tool, second[key].stack, rates[key])


def _site(tool: str, stack: Sequence[Frame], bytes_per_operation: float) -> Site:
    own = list(_application(stack))
    leaf, caller = own[0], next((frame for frame in own if frame.file.endswith(PYTHON)), None)
    called = f", called from {caller}" if caller is not None and caller != leaf else ""
    frames = [str(frame) for frame in stack if frame in own or frame.file.endswith(PYTHON)]
    return Site(
        fingerprint=fingerprint("native", own), place=f"{leaf}{called}", frames=tuple(frames[:MOST_FRAMES]),
        bytes_per_operation=round(bytes_per_operation, 1), confidence="high", tool=tool,
    )  # fmt: skip


def _application(stack: Sequence[Frame]) -> Iterator[Frame]:
    """Yield the frames of the engine and its packages; native ones only with a source location or a name."""
    for frame in stack:
        if frame.file.endswith(PYTHON):
            if is_application(frame.file):
                yield frame
        elif frame.file and not is_plumbing(frame):
            yield frame


def is_plumbing(frame: Frame) -> bool:
    """Return whether a native frame belongs to an allocator, a runtime or the interpreter."""
    of_library = frame.file.endswith(".rs") and _LIBRARY.search(frame.file)
    return bool(of_library or _PLUMBING.search(frame.file) or _ALLOCATORS.match(frame.function))


def stack_of(record: Any) -> tuple[Frame, ...]:
    """Return the stack of an allocation, leaf first, with native frames if the capture has them."""
    try:
        steps = record.hybrid_stack_trace(max_stacks=MOST_STACK)
    except (NotImplementedError, ValueError):
        steps = record.stack_trace(max_stacks=MOST_STACK)
    return tuple(Frame("" if file == "???" else real_place(file), line, function) for function, file, line in steps)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
