"""Healthy engines that look like leaks: a soak must not report them."""

import ctypes
import gc
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping

from soakd.worker.engines.planted.objects import Node

Operation = Callable[[], None]


class FillingCache:
    """A bounded cache that takes `capacity` operations to fill, and declares its bound."""

    def __init__(self, *, capacity: int = 100_000, value_bytes: int = 300) -> None:
        self.capacity_entries = capacity
        self.bytes_per_entry = value_bytes + 100  # measured: 400 bytes an entry for values of 300
        self._value_bytes = value_bytes
        self._entries: OrderedDict[int, bytes] = OrderedDict()
        self._numbers = itertools.count()

    def operation(self) -> None:
        """Insert an entry; at the bound, drop the oldest."""
        self._entries[next(self._numbers)] = bytes(self._value_bytes)
        if len(self._entries) > self.capacity_entries:
            self._entries.popitem(last=False)

    def counters(self) -> Mapping[str, float]:
        """Return the number of entries."""
        return {"entries": len(self._entries)}


def warm_up(*, operations: int = 20_000, bytes_per_operation: int = 500) -> Operation:
    """Keep blocks during the first `operations`, less and less often, and none afterwards."""
    kept: list[bytes] = []
    numbers = itertools.count()

    def operation() -> None:
        number = next(numbers)
        rest = operations - number
        if rest > 0 and number % 7 * operations < 7 * rest:
            kept.append(bytes(bytes_per_operation))

    return operation


def gc_sawtooth(*, cycles: int = 20, payload_bytes: int = 200) -> Operation:
    """Make reference cycles for the collector with its default settings."""

    def operation() -> None:
        for _ in range(cycles):
            first, second = Node(bytes(payload_bytes)), Node(b"")
            first.other, second.other = second, first

    return operation


def collector_backlog(*, cycles: int = 2, payload_bytes: int = 200, threshold: int = 500_000) -> Operation:
    """Make reference cycles under a collector that runs so rarely that live bytes rise for minutes."""
    gc.set_threshold(threshold, 50, 100)
    return gc_sawtooth(cycles=cycles, payload_bytes=payload_bytes)


def fragmentation(*, blocks: int = 64, survivors: int = 20_000) -> Operation:
    """Allocate blocks of many sizes and keep one of each batch for a while: live bytes are bounded."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    kept: deque[int] = deque()
    sizes = itertools.cycle(range(64, 4096, 61))

    def operation() -> None:
        batch = []
        for size, _ in zip(sizes, range(blocks), strict=False):
            batch.append(libc.malloc(size))
            ctypes.memset(batch[-1], 0xA5, size)
        kept.append(batch.pop(blocks // 2))
        for address in batch:
            libc.free(address)
        if len(kept) > survivors:
            libc.free(kept.popleft())

    return operation
